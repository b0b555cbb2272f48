package platform

import "sync"

// Topic is what a wake is about.
type Topic string

// The topics.
const (
	TopicBuilds    Topic = "builds"
	TopicApps      Topic = "apps" // intent of an app changed
	TopicTasks     Topic = "tasks"
	TopicDrains    Topic = "drains"    // a drain came or went
	TopicTLS       Topic = "tls"       // domains, certificates, challenges
	TopicEvents    Topic = "events"    // anything happened
	TopicSchedules Topic = "schedules" // a schedule came or changed

	topicInstances Topic = "instances" // an observation changed
	topicDone      Topic = "done"      // a change was carried out
)

// Wakes returns a channel that receives a hint, at most one pending, whenever
// the topic changed; stop releases it. A wake is a hint, given only for what
// this process changed: tick too.
func (p *Platform) Wakes(t Topic) (c <-chan struct{}, stop func()) { return p.bell.listen(t) }

// bell wakes those who listen to a topic.
type bell struct {
	mu   sync.Mutex
	ears map[Topic]map[chan struct{}]bool
}

func newBell() *bell { return &bell{ears: map[Topic]map[chan struct{}]bool{}} }

func (b *bell) listen(topics ...Topic) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range topics {
		if b.ears[t] == nil {
			b.ears[t] = map[chan struct{}]bool{}
		}
		b.ears[t][c] = true
	}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, t := range topics {
			delete(b.ears[t], c)
		}
	}
}

func (b *bell) ring(topics ...Topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range topics {
		for c := range b.ears[t] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}
