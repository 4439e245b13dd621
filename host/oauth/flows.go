package oauth

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const (
	// maxFlows is how many flows the host keeps, and maxFlowsEach how many of one connection:
	// whoever comes from the platform's side can begin one, too.
	maxFlows, maxFlowsEach = 10_000, 20
	// StatePrefix is what every state of this host begins with, so that a request that brings
	// one is known even when its flow is not kept any more.
	StatePrefix = "pbo_"
	// cookiePrefix is what the names of the room's cookies begin with. Over TLS another prefix
	// stands before it, by which browsers take the cookie from this very host alone: a page on a
	// sibling of it could else plant the cookie of somebody else's flow.
	cookiePrefix = "patchbay_oauth_"
	hostPrefix   = "__Host-"
	// maxStarts bounds how often one flow is led to the consent page.
	maxStarts = 20
)

// OwnCookie tells whether a cookie is one of the room's, by its name.
func OwnCookie(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(name, hostPrefix), cookiePrefix)
}

// flow is one person on the way through a consent.
type flow struct {
	// ticket names it in the link to its start, state on its way back; verifier is PKCE's.
	ticket, state, verifier string
	// cookie is the name of the cookie that its browser is given, and browser its value.
	cookie, browser string
	// taken tells that a browser has been given the cookie.
	taken bool
	// starts counts how often it was led to the consent page.
	starts int
	by     string
	// asked tells that somebody with a role asked for it.
	asked      bool
	workspace  contract.WorkspaceID
	connection contract.ConnectionID
	// redirect is where the platform sends the browser back.
	redirect string
	expires  time.Time
}

// holds tells whether a browser that brings these cookies is the flow's.
func (f *flow) holds(cookies map[string]string) bool {
	return f.taken && subtle.ConstantTimeCompare([]byte(cookies[f.cookie]), []byte(f.browser)) == 1
}

// flows are the flows on their way.
type flows struct {
	mu       sync.Mutex
	byTicket map[string]*flow
	byState  map[string]*flow
	of       map[contract.ConnectionID][]*flow // oldest first
	order    []*flow                           // oldest first, those that were forgotten included
}

func newFlows() flows {
	return flows{byTicket: map[string]*flow{}, byState: map[string]*flow{}, of: map[contract.ConnectionID][]*flow{}}
}

// add keeps a flow. The oldest of its connection makes room for it, those first that nobody
// with a role asked for; those of other connections do not.
func (s *flows) add(f *flow, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if own := s.of[f.connection]; len(own) >= maxFlowsEach {
		s.forget(own[max(0, slices.IndexFunc(own, func(f *flow) bool { return !f.asked }))])
	}
	if len(s.byState) >= maxFlows {
		return fmt.Errorf("%d people are being authorised at once; try again in some minutes: %w", maxFlows, domain.ErrQuota)
	}
	s.byTicket[f.ticket], s.byState[f.state] = f, f
	s.of[f.connection] = append(s.of[f.connection], f)
	s.order = append(s.order, f)
	return nil
}

// sweep forgets what has expired. All flows last equally long, so that is the oldest.
func (s *flows) sweep(now time.Time) {
	for len(s.order) > 0 && (!now.Before(s.order[0].expires) || s.byState[s.order[0].state] == nil) {
		s.forget(s.order[0])
		s.order[0] = nil
		s.order = s.order[1:]
	}
	if len(s.order) > 4*maxFlows { // many were forgotten early, and one before them was not
		s.order = slices.DeleteFunc(s.order, func(f *flow) bool { return s.byState[f.state] == nil })
	}
}

// forget ends a flow; one that has ended stays so.
func (s *flows) forget(f *flow) {
	delete(s.byTicket, f.ticket)
	delete(s.byState, f.state)
	rest := slices.DeleteFunc(s.of[f.connection], func(other *flow) bool { return other == f })
	if len(rest) == 0 {
		delete(s.of, f.connection)
		return
	}
	s.of[f.connection] = rest
}

// start gives the flow of a ticket to the browser that asks for it first; the same browser may
// ask again. It returns a copy, which may be expired or another browser's: why says so.
func (s *flows) start(ticket string, cookies map[string]string, now time.Time) (f flow, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.byTicket[ticket]
	switch {
	case kept == nil:
		return flow{}, whyUnknown
	case !now.Before(kept.expires):
		s.forget(kept)
		return *kept, whyExpired
	case kept.taken && !kept.holds(cookies):
		return *kept, whyOtherBrowser
	case kept.starts >= maxStarts:
		s.forget(kept)
		return *kept, whyTooOften
	}
	kept.taken = true
	kept.starts++
	return *kept, ""
}

// waits tells whether a ticket is one that could be started.
func (s *flows) waits(ticket string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byTicket[ticket] != nil
}

// take ends the flow of a state: whoever comes second finds none. It returns a copy, which may
// be expired or another browser's: why says so.
func (s *flows) take(state string, cookies map[string]string, now time.Time) (f flow, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.byState[state]
	if kept == nil {
		return flow{}, whyUnknown
	}
	s.forget(kept)
	switch {
	case !now.Before(kept.expires):
		return *kept, whyExpired
	case !kept.holds(cookies):
		return *kept, whyOtherBrowser
	}
	return *kept, ""
}

// Why a request is refused, for the audit.
const (
	whyUnknown      = "it belongs to nothing that was begun here, or that has ended"
	whyExpired      = "it came too late"
	whyOtherBrowser = "it came from another browser than the one that began"
	whyElsewhere    = "it came back to another address than it was sent to"
	whyTooOften     = "it was begun too often"
	whyMalformed    = "it is malformed"
)

// waits are the browsers that wait for what comes of a command.
type waits struct {
	mu sync.Mutex
	by map[string]chan domain.Job
}

func newWaits() waits { return waits{by: map[string]chan domain.Job{}} }

// on returns a channel that gets the job once it has ended. forget it.
func (w *waits) on(job string) <-chan domain.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	ended := make(chan domain.Job, 1)
	w.by[job] = ended
	return ended
}

func (w *waits) forget(job string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, job)
}

// tell hands a job that has ended to the browser that waits for it, if one does.
func (w *waits) tell(job domain.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ended := w.by[job.ID]; ended != nil {
		ended <- job
		delete(w.by, job.ID)
	}
}
