package buildkit

import (
	"context"
	"runtime"
	"strings"

	"github.com/moby/buildkit/session/auth"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
)

// login answers the daemon's questions for a registry's password: those for
// the platform's registry, and none else. Tokens are not offered, so the daemon
// does the talking itself.
type login struct {
	auth.UnimplementedAuthServer
	host, user, password string
}

// Register is session.Attachable's.
func (l login) Register(s *grpc.Server) { auth.RegisterAuthServer(s, l) }

// Credentials is auth.AuthServer's.
func (l login) Credentials(_ context.Context, req *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	if req.Host != l.host {
		return &auth.CredentialsResponse{}, nil
	}
	return &auth.CredentialsResponse{Username: l.user, Secret: l.password}, nil
}

func platform() ocispecs.Platform {
	return ocispecs.Platform{OS: "linux", Architecture: runtime.GOARCH}
}

// policy says where a Dockerfile's images may come from.
func (b *Builder) policy() *spb.Policy {
	rule := func(action spb.PolicyAction, id string) *spb.Rule {
		return &spb.Rule{Action: action, Selector: &spb.Selector{Identifier: id, MatchType: spb.MatchType_WILDCARD}}
	}
	rules := []*spb.Rule{rule(spb.PolicyAction_DENY, "docker-image://*")}
	for _, host := range append([]string{b.cfg.Registry.Host}, b.cfg.Remotes...) {
		rules = append(rules, rule(spb.PolicyAction_ALLOW, "docker-image://"+strings.TrimPrefix(host+"/*", "*/")))
	}
	return &spb.Policy{Version: 1, Rules: rules}
}
