package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	crand "crypto/rand"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/credentials"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/jobs"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/host/store"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

// simulation is sixty days of one connection: a platform that rotates its tokens, is away,
// loses answers and revokes tokens, and a host whose power goes at the worst moments. The
// clock is that of the bubble.
type simulation struct {
	t    *testing.T
	rnd  *rand.Rand // one goroutine at a time: mu
	mu   sync.Mutex
	life time.Duration
	// grace is how long the platform takes a refresh token again that was used.
	grace time.Duration

	store   *store.Store
	queued  chan struct{} // capacity 1: there is another job
	plugins *plugins
	vault   *credentials.Vault

	// The host, until the power goes.
	broker  *broker.Broker
	tokens  *credentials.Tokens
	stop    context.CancelFunc
	stopped chan struct{}
	dead    bool

	platform simPlatform
	counts   struct{ crashes, refreshes, refusals, lostAnswers, unauthorised int }
}

// simPlatform is what the platform knows.
type simPlatform struct {
	n        int // the newest pair's number
	expires  map[string]time.Time
	revoked  map[string]bool
	refresh  string    // the newest refresh token
	previous string    // the one before, good until graceEnd
	graceEnd time.Time // zero once it is not
	again    string    // the answer that a repeat within the grace gets
	refused  bool      // the host was refused and does not know it otherwise
	inFlight int
	// returned is the number of the newest pair that the host was answered, and durable of the
	// newest that it has made durable since.
	returned, durable int
}

var errDead = errors.New("the host is dead")

// simStore is the host's store; after errPowerCut it answers nothing.
type simStore struct {
	*store.Store
	s *simulation
}

// cut lets the power go, sometimes.
func (s *simulation) cut(odds int) {
	s.mu.Lock()
	hit := !s.dead && s.rnd.IntN(odds) == 0
	if hit {
		s.dead = true
		s.counts.crashes++
	}
	s.mu.Unlock()
	if hit {
		panic(errPowerCut)
	}
}

func (s *simulation) alive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errDead
	}
	return nil
}

func (d simStore) WriteJournal(ctx context.Context, job string, from int, entries [][]byte) error {
	if err := d.s.alive(); err != nil {
		return err
	}
	d.s.cut(60)
	err := d.Store.WriteJournal(ctx, job, from, entries)
	d.s.noteDurable(job)
	d.s.cut(25)
	return err
}

func (d simStore) CommitCommand(ctx context.Context, e domain.CommandEffects) (domain.CommandCommitted, error) {
	if err := d.s.alive(); err != nil {
		return domain.CommandCommitted{}, err
	}
	d.s.cut(40)
	c, err := d.Store.CommitCommand(ctx, e)
	d.s.cut(60)
	return c, err
}

func (d simStore) PutTokens(ctx context.Context, set domain.TokenSet) error {
	if err := d.s.alive(); err != nil {
		return err
	}
	d.s.cut(25)
	err := d.Store.PutTokens(ctx, set)
	d.s.cut(25)
	return err
}

func (d simStore) UpdateTokens(ctx context.Context, ws contract.WorkspaceID, c contract.ConnectionID, f func(*domain.TokenSet) error) (domain.TokenSet, error) {
	if err := d.s.alive(); err != nil {
		return domain.TokenSet{}, err
	}
	return d.Store.UpdateTokens(ctx, ws, c, f)
}

func (d simStore) AcceptRefresh(ctx context.Context, n domain.NewCommand) (domain.Job, bool, error) {
	if err := d.s.alive(); err != nil {
		return domain.Job{}, false, err
	}
	return d.Store.AcceptRefresh(ctx, n)
}

// noteDurable notes what the journal of a refresh holds by now.
func (s *simulation) noteDurable(id string) {
	job, err := s.store.Job(context.Background(), id)
	if err != nil || job.Command.Refresh == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.platform.durable = s.platform.returned
}

// answer is what comes of a request, if the host lives to send it.
func (s *simulation) answer(ctx context.Context, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
	if s.alive() != nil {
		return unsent(contract.HostUnreachable)
	}
	name := "credential:access_token"
	if r.Body == "refresh" {
		name = "credential:refresh_token"
	}
	value, err := reveal(ctx, name)
	if refused := (*contract.HostError)(nil); errors.As(err, &refused) {
		return &contract.HTTPResult{Error: refused}
	} else if err != nil {
		return unsent(contract.HostUnavailable)
	}
	s.cut(80)
	if r.Body == "refresh" {
		return s.takeRefresh(value.Reveal())
	}
	return s.takeMessage(value.Reveal())
}

func unsent(code string) *contract.HTTPResult {
	return &contract.HTTPResult{Error: &contract.HostError{Code: code, Certain: true}}
}

// away tells whether the platform is: three hours in every fifty.
func (s *simulation) away() bool { return time.Now().Unix()/3600%50 < 3 }

func (s *simulation) takeMessage(token string) *contract.HTTPResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	expires, known := s.platform.expires[token]
	switch {
	case !known:
		s.t.Errorf("%v: a message came with the unknown token %q", time.Now(), token)
	case !time.Now().Before(expires):
		s.t.Errorf("%v: a message came with %q, which expired at %v", time.Now(), token, expires)
	case s.away():
		return &contract.HTTPResult{Status: 503}
	case s.platform.revoked[token]:
		s.counts.unauthorised++
		return &contract.HTTPResult{Status: 401}
	}
	if s.rnd.IntN(40) == 0 {
		s.platform.revoked[token] = true // somebody logged the session out
	}
	return &contract.HTTPResult{Status: 200}
}

func (s *simulation) takeRefresh(token string) *contract.HTTPResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.platform
	if p.inFlight++; p.inFlight > 1 {
		s.t.Error("two refreshes are under way at once")
	}
	s.counts.refreshes++
	s.mu.Unlock()
	time.Sleep(time.Duration(s.random(900)) * time.Millisecond) // on its way, by the bubble's clock
	s.mu.Lock()
	p.inFlight--
	var pair int
	if _, err := fmt.Sscanf(token, "refresh-%d", &pair); err != nil || pair < p.durable && !p.refused {
		s.t.Errorf("%v: a refresh came with %q, and the host had pair %d", time.Now(), token, p.durable)
	}
	if s.away() {
		return &contract.HTTPResult{Status: 503}
	}
	var answer string
	switch {
	case token == p.refresh:
		answer = s.rotate()
	case token == p.previous && time.Now().Before(p.graceEnd):
		answer = p.again
	default:
		p.refused = true
		s.counts.refusals++
		return &contract.HTTPResult{Status: 400, Body: `{"error":"invalid_grant"}`}
	}
	if s.rnd.IntN(30) == 0 {
		s.counts.lostAnswers++
		return &contract.HTTPResult{Error: &contract.HostError{Code: contract.HostTimeout}}
	}
	p.returned = p.n
	return &contract.HTTPResult{Status: 200, Body: answer}
}

func (s *simulation) random(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rnd.IntN(n)
}

// rotate makes a new pair. The caller holds mu.
func (s *simulation) rotate() string {
	p := &s.platform
	p.n++
	p.previous, p.graceEnd = p.refresh, time.Now().Add(s.grace)
	p.refresh = fmt.Sprintf("refresh-%06d", p.n)
	access := fmt.Sprintf("access-%06d-%d", p.n, time.Now().Add(s.life).Unix())
	p.expires[access] = time.Unix(time.Now().Add(s.life).Unix(), 0)
	p.again = `{"access_token":"` + access + `","refresh_token":"` + p.refresh + `"}`
	return p.again
}

// simGuest is [tokenGuest] with the life of tokens taken from their text.
func simGuest(ctx context.Context, g *call) ([]byte, error) {
	if contract.Export(g.Export) != contract.ExportRefreshCredentials {
		return tokenGuest(ctx, g)
	}
	r := ask[contract.HTTPResult](g, contract.HostHTTPSend, post("refresh", false))
	fail := func(class contract.FailureClass, code string) ([]byte, error) {
		return contract.Marshal(&contract.CommandOutput{Failure: &contract.Failure{Class: class, Code: code}}), nil
	}
	switch {
	case r.Error != nil && r.Error.Certain || r.Status >= 500:
		return fail(contract.FailureRetry, "away")
	case r.Error != nil:
		return fail(contract.FailureUncertain, "no_answer")
	case r.Status != 200:
		return fail(contract.FailureReauthorise, "invalid_grant")
	}
	if done := ask[contract.Done](g, contract.HostCredentialsPut, pairOf(r.Body)); done.Error != nil {
		return fail(contract.FailureRetry, done.Error.Code)
	}
	return contract.Marshal(&contract.CommandOutput{}), nil
}

func pairOf(answer string) *contract.CredentialsPut {
	quoted := strings.Split(answer, `"`)
	var n int
	var expires int64
	if _, err := fmt.Sscanf(quoted[3], "access-%06d-%d", &n, &expires); err != nil {
		panic(err)
	}
	return &contract.CredentialsPut{AccessToken: quoted[3], RefreshToken: quoted[7], ExpiresAt: time.Unix(expires, 0)}
}

// start starts the host.
func (s *simulation) start() {
	s.dead = false
	st := simStore{s.store, s}
	discard := slog.New(slog.DiscardHandler)
	s.tokens = credentials.NewTokens(credentials.TokenOptions{Vault: s.vault, Store: st, Now: time.Now, Log: discard,
		Manifest: func(string) (*manifest.Manifest, error) { return &s.plugins.version.Manifest, nil }})
	s.broker = broker.New(broker.Options{Limits: &limits{}, Store: st, Plugins: s.plugins, Egress: simEgress{s: s}, Secrets: vault{}, Tokens: s.tokens,
		Media: files{}, Metrics: &counts{deliveries: map[string]int{}, failures: map[string]int{}}, Policy: jobs.Policy{},
		ReceiveDeadline: time.Minute, CommandDeadline: time.Minute, Now: time.Now, Random: crand.Reader, Log: discard})
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.stopped = make(chan struct{})
	go func() {
		defer close(s.stopped)
		s.tokens.Run(ctx)
	}()
}

// crash ends what a power cut would end, and starts the host again.
func (s *simulation) crash() {
	s.mu.Lock()
	s.dead, s.platform.returned = true, s.platform.durable
	s.mu.Unlock()
	s.stop()
	<-s.stopped
	s.start()
}

// work runs every job whose time has come, each lane's first at once with the others'.
func (s *simulation) work() {
	lanes := map[string]domain.Job{}
	err := s.store.QueuedJobs(s.t.Context(), func(job domain.Job) error {
		if _, behind := lanes[job.Lane]; !behind {
			lanes[job.Lane] = job
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var running sync.WaitGroup
	for _, job := range lanes {
		if job.NotBefore.After(time.Now()) {
			continue
		}
		running.Go(func() {
			defer func() {
				if p := recover(); p != nil && p != errPowerCut {
					panic(p)
				}
			}()
			_, _, err := s.broker.Run(s.t.Context(), job)
			if err != nil && s.alive() == nil {
				s.t.Errorf("job %s: %v", job.ID, err)
			}
		})
	}
	running.Wait()
	if s.alive() != nil {
		s.crash()
	}
}

// simEgress sends to the platform; nothing else is asked of it.
type simEgress struct {
	*outside
	s *simulation
}

// Send is the platform, and the network before it.
func (e simEgress) Send(ctx context.Context, _ domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
	return e.s.answer(ctx, reveal, r)
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	rnd := rand.New(rand.NewPCG(seed, 5))
	lives := []time.Duration{90 * time.Minute, 4 * time.Hour, 24 * time.Hour}
	s := &simulation{t: t, rnd: rnd, queued: make(chan struct{}, 1), life: lives[seed%3], grace: time.Duration(seed%2) * time.Minute,
		platform: simPlatform{expires: map[string]time.Time{}, revoked: map[string]bool{}, refresh: "refresh-000000"}}
	var err error
	if s.store, err = store.Open(filepath.Join(t.TempDir(), "sim.db"), store.Options{OnJobs: s.onJobs}); err != nil {
		t.Fatal(err)
	}
	if s.vault, err = credentials.OpenVault(t.TempDir(), time.Now); err != nil {
		t.Fatal(err)
	}
	s.plugins = &plugins{version: &registry.Version{Plugin: testPlugin(), Code: guest(simGuest)}}
	(&world{plugins: s.plugins}).withTokens(manifest.TokenRule{KeepAliveSeconds: 20 * 86400})
	err = errors.Join(s.store.CreateWorkspace(t.Context(), domain.Workspace{ID: "wsp_1", Enabled: []string{"test"}}),
		s.store.CreateConnection(t.Context(), domain.Connection{ID: "con_1", Workspace: "wsp_1", Plugin: "test", State: contract.StateConnected,
			Health: domain.Health{Said: contract.StateChange{State: contract.StateConnected}}, Endpoint: endpoint,
			Settings: map[string]string{"base": "https://acme.test:8443"}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	s.authorise()
	return s
}

// authorise is a person who authorises the connection, anew if it was refused.
func (s *simulation) authorise() {
	s.mu.Lock()
	pair := pairOf(s.rotate())
	s.platform.previous, s.platform.refused = "", false
	s.platform.returned, s.platform.durable = s.platform.n, s.platform.n
	s.mu.Unlock()
	c, err := s.store.Connection(s.t.Context(), "con_1")
	if err != nil {
		s.t.Fatal(err)
	}
	plain := credentials.NewTokens(credentials.TokenOptions{Vault: s.vault, Store: s.store, Now: time.Now})
	if _, err := plain.Put(s.t.Context(), c, pair, nil, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	s.tokens.Changed("con_1")
}

// message has a message sent in a conversation of its own.
func (s *simulation) message(n int) string {
	job, _, err := s.store.AcceptCommand(s.t.Context(), domain.NewCommand{Workspace: "wsp_1", Connection: "con_1", At: time.Now(),
		Lane: domain.ConversationLane("con_1", contract.ConversationID(fmt.Sprint(n))),
		Command: domain.Command{Export: contract.ExportSendMessage, By: "ann", Message: &contract.Message{
			Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "hi"}}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return job.ID
}

// health tells whether somebody is asked to act, and whether they should be.
func (s *simulation) health() (asked, refused bool) {
	synctest.Wait() // until what has changed is looked at
	c, err := s.store.Connection(s.t.Context(), "con_1")
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.State == contract.StateNeedsAction, s.platform.refused
}

// TestSixtyDaysOfTokens: no message goes out with a token that has expired, no token that the
// host once had is lost, one refresh is made at a time, and somebody is asked to act only
// when the platform has refused.
func TestSixtyDaysOfTokens(t *testing.T) {
	for seed := range uint64(6) {
		days := 60
		if testing.Short() || seed%3 == 0 { // the tokens with the shortest life are renewed often enough
			days = 10
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed, time.Duration(days)*24*time.Hour) })
		})
	}
}

func simulate(t *testing.T, seed uint64, span time.Duration) {
	s := newSimulation(t, seed)
	defer func() {
		s.stop()
		<-s.stopped
		for _, problem := range s.store.Check(context.Background()) {
			t.Error(problem)
		}
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	}()
	end := time.Now().Add(span)
	var sent []string
	var silent time.Time // since when somebody is asked to act
	for next := time.Now(); time.Now().Before(end) && !t.Failed(); {
		if !time.Now().Before(next) {
			sent = append(sent, s.message(len(sent)))
			next = time.Now().Add(time.Duration(s.random(int(5 * time.Hour))))
		}
		s.work()
		asked, refused := s.health()
		switch {
		case asked && !refused:
			t.Errorf("%v: somebody is asked to act, and the platform has refused nothing", time.Now())
		case asked && silent.IsZero():
			silent = time.Now()
		case asked && time.Since(silent) > 3*time.Hour:
			s.authorise()
			silent = time.Time{}
		}
		s.pause(next)
	}
	s.settle(sent)
	if s.grace > 0 && s.counts.refusals > 3 {
		t.Errorf("%d refusals by a platform that takes a refresh token again for %v", s.counts.refusals, s.grace)
	}
	t.Logf("seed %d, tokens of %v, grace %v: %+v, %d messages, %d pairs", seed, s.life, s.grace, s.counts, len(sent), s.platform.n)
}

// onJobs is told of jobs that came into the queue.
func (s *simulation) onJobs(...domain.Job) {
	select {
	case s.queued <- struct{}{}:
	default:
	}
}

// pause waits until something is to be done: a job, a message, or a look at all.
func (s *simulation) pause(next time.Time) {
	wait := min(10*time.Minute, time.Until(next))
	err := s.store.QueuedJobs(s.t.Context(), func(job domain.Job) error {
		wait = min(wait, time.Until(job.NotBefore))
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-time.After(max(wait, 50*time.Millisecond)):
	case <-s.queued:
	}
}

// settle holds every message against what was to become of it.
func (s *simulation) settle(sent []string) {
	for _, id := range sent {
		job, err := s.store.Job(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		refused := job.Failure != nil && (job.Failure.Class == contract.FailureReauthorise || job.Failure.Class == contract.FailureUncertain)
		if job.State == domain.JobParked && !refused {
			s.t.Errorf("message %s is parked with %+v", id, job.Failure)
		}
		if job.State == domain.JobParked && job.Failure.Class == contract.FailureReauthorise && s.counts.refusals == 0 {
			s.t.Errorf("message %s was given up for want of a token, and none was refused", id)
		}
		if job.State == domain.JobQueued && time.Since(job.CreatedAt) > 12*time.Hour {
			s.t.Errorf("message %s still waits after %v: %+v", id, time.Since(job.CreatedAt), job.Failure)
		}
	}
}
