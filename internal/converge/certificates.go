package converge

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/cert"
	"github.com/steadpaas/stead/internal/platform"
	"github.com/steadpaas/stead/internal/route"
)

// CertificatePlatform is what the loop for certificates uses of the hall.
type CertificatePlatform interface {
	Wakes(t platform.Topic) (c <-chan struct{}, stop func())
	TLSRevision(ctx context.Context) (string, error)
	TLSState(ctx context.Context) (platform.TLSState, error)
	InternalAuthority(ctx context.Context) (*cert.Authority, error)
	OrderCertificate(ctx context.Context, app stead.ID, host string, names []string) error
	DropCertificate(ctx context.Context, id stead.ID) error
	ClaimCertificate(ctx context.Context, holder string, ttl time.Duration) (*stead.Certificate, error)
	FinishCertificate(ctx context.Context, id stead.ID, holder string, pair cert.Pair, failure error) error
	SaveStaple(ctx context.Context, id stead.ID, fingerprint string, s *cert.Staple, next time.Time) error
	PresentChallenge(ctx context.Context, c cert.Challenge) error
	RemoveChallenge(ctx context.Context, c cert.Challenge) error
	ACMEAccount(ctx context.Context, directory string, register func() (cert.Account, error)) (cert.Account, error)
}

// Certifier is what the loop needs of the data plane.
type Certifier interface {
	// Certify returns once handshakes are made with the set.
	Certify(ctx context.Context, set *route.Certificates) error
	Stats(ctx context.Context) (route.Stats, error)
}

// CertificateDeps is what Certificates are made of.
type CertificateDeps struct {
	Platform   CertificatePlatform
	Router     Certifier
	ACME       *cert.ACME // nil: nothing is obtained
	Responders cert.Responders
	Domain     string   // of the platform
	APINames   []string // names and addresses of the API's listener; the first is its public name
	MinVersion string   // of TLS, for every host
	Holder     string   // names this platform in claims
	Shared     bool     // other control planes share the database, each with a router to be told
	Tick       time.Duration
	Logger     *slog.Logger
}

// Certificates keeps the routers' certificates: it signs what no public
// authority does, obtains and renews by ACME, and gives the router each set
// that is wished, whole.
type Certificates struct {
	d    CertificateDeps
	plan planSettings

	mu          sync.Mutex // one turn at a time
	registering sync.Mutex
	authority   *cert.Authority
	leaves      map[string]leaf // signed by the internal authority, by first name
	rev         string          // of the state that was last read
	looked      time.Time
	digest      string // of the set that was last given
	told        time.Time
	api         atomic.Pointer[tls.Certificate]
	state       atomic.Pointer[platform.TLSState] // the last that was read
}

type leaf struct {
	pair  cert.Pair
	until time.Time
}

// NewCertificates returns the loop over d; Run runs it.
func NewCertificates(d CertificateDeps) *Certificates {
	if d.Tick == 0 {
		d.Tick = 5 * time.Second
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	p := planSettings{domain: d.Domain, acme: d.ACME != nil, wildcards: d.ACME != nil && d.ACME.DNS != nil}
	if len(d.APINames) > 0 && net.ParseIP(d.APINames[0]) == nil {
		p.apiHost = d.APINames[0]
	}
	return &Certificates{d: d, plan: p, leaves: map[string]leaf{}}
}

// obtaining is how many certificates are obtained at once.
const obtaining = 4

// Run keeps certificates until ctx ends.
func (c *Certificates) Run(ctx context.Context) error {
	ctx = stead.WithActor(ctx, stead.System)
	wakes, stop := c.d.Platform.Wakes(platform.TopicTLS)
	defer stop()
	events, stop2 := c.d.Platform.Wakes(platform.TopicEvents)
	defer stop2()
	tick := time.NewTicker(c.d.Tick)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.runStaples(ctx) })
	free := make(chan struct{}, obtaining)
	for {
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.d.Logger.Warn("certificates not refreshed", "err", err)
		}
		c.claim(ctx, &wg, free)
		select {
		case <-ctx.Done():
			return nil
		case <-wakes:
		case <-events:
		case <-tick.C:
		}
	}
}

// GetCertificate is for the API's listener: the certificate of its public name,
// or one by the internal authority.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if t := c.api.Load(); t != nil {
		return t, nil
	}
	return nil, errors.New("the platform has no certificate yet")
}

// relook is how often the state is read though nothing seems to have changed:
// leaves are signed anew, answers of responders get old.
const relook = 10 * time.Minute

// retell is how often the router is asked whether it has the last set.
const retell = 15 * time.Second

// refresh is one turn: it carries out the plan and gives the router its set.
func (c *Certificates) refresh(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	rev, err := c.d.Platform.TLSRevision(ctx)
	if err != nil {
		return err
	}
	if rev == c.rev && time.Since(c.looked) < relook && (time.Since(c.told) < retell || c.stillTold(ctx)) {
		return nil
	}
	state, err := c.d.Platform.TLSState(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	if state, err = c.carryOut(ctx, state, now); err != nil {
		return err
	}
	if c.authority == nil {
		if c.authority, err = c.d.Platform.InternalAuthority(ctx); err != nil {
			return err
		}
	}
	set, err := c.set(state, now)
	if err != nil {
		return err
	}
	if err := c.forAPI(state, now); err != nil {
		return err
	}
	if err := c.tell(ctx, set); err != nil {
		return err
	}
	c.rev, c.looked = rev, now
	c.state.Store(&state)
	return nil
}

// stillTold reports whether the router has the last set; one that began anew
// may not.
func (c *Certificates) stillTold(ctx context.Context) bool {
	st, err := c.d.Router.Stats(ctx)
	if err != nil || st.Digest != c.digest {
		return false
	}
	c.told = time.Now()
	return true
}

func (c *Certificates) tell(ctx context.Context, set *route.Certificates) error {
	b, err := json.Marshal(set)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	set.Digest = hex.EncodeToString(sum[:16])
	if set.Digest == c.digest && c.stillTold(ctx) {
		return nil
	}
	if err := c.d.Router.Certify(ctx, set); err != nil {
		return err
	}
	c.digest, c.told = set.Digest, time.Now()
	return nil
}

// carryOut writes down what the plan orders and drops, and returns the state
// after it.
func (c *Certificates) carryOut(ctx context.Context, state platform.TLSState, now time.Time) (platform.TLSState, error) {
	orders, drops := planCertificates(state, c.plan, now)
	for _, o := range orders {
		if err := c.d.Platform.OrderCertificate(ctx, o.App, o.Host, o.Names); err != nil {
			return state, err
		}
	}
	for _, id := range drops {
		if err := c.d.Platform.DropCertificate(ctx, id); err != nil {
			return state, err
		}
	}
	if len(orders)+len(drops) == 0 {
		return state, nil
	}
	return c.d.Platform.TLSState(ctx)
}

// sign returns a certificate by the internal authority, the same one until two
// thirds of its life are over.
func (c *Certificates) sign(now time.Time, names ...string) (cert.Pair, error) {
	key := strings.Join(names, " ")
	if l, ok := c.leaves[key]; ok && now.Before(l.until) {
		return l.pair, nil
	}
	p, err := c.authority.Sign(now, names...)
	if err == nil {
		c.leaves[key] = leaf{p, now.Add(cert.LeafLife * 2 / 3)}
	}
	return p, err
}

// forAPI chooses the certificate of the API's listener.
func (c *Certificates) forAPI(state platform.TLSState, now time.Time) error {
	if len(c.d.APINames) == 0 {
		return nil
	}
	var pair cert.Pair
	if t := usable(state.Certificates, now, false).best("", c.plan.apiHost); t != nil {
		pair = t.Pair
	} else {
		var err error
		if pair, err = c.sign(now, c.d.APINames...); err != nil {
			return err
		}
	}
	t, err := tls.X509KeyPair([]byte(pair.Chain), []byte(pair.Key))
	if err == nil {
		c.api.Store(&t)
	}
	return err
}
