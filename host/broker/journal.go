package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/failpoint"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// journal is what one run of a command has asked of the host so far, kept so that nothing
// is asked twice of a platform when the host was cut off, or when what the run relied on
// changed meanwhile.
//
// Before a call with an effect goes out, the journal is made durable up to and including
// that call, as an intent. Its answer follows with the next intent, with the commit, or
// after answerDelay, whichever comes first. A run that is resumed has the clock, the seed
// and the input of the one that was cut off, and gets the answers that one got, so it does
// the same until the journal ends, and goes on from there.
type journal struct {
	store Store
	job   string
	begun begun
	// seal encrypts what is kept; nil keeps it as it is. prompt has each answer made durable
	// before the plugin sees it: what a platform hands out only once must not be lost.
	seal   func(entry []byte) ([]byte, error)
	prompt bool

	mu      sync.Mutex // the timer writes, too
	calls   []journalCall
	flushed int // how many entries, begun included, are durable as they stand
	closed  bool
	runs    int // how many runs it has been the journal of; a timer of an earlier one is void
	timer   *time.Timer

	// known is what a run before this one asked; next is how far this one has come in it.
	known []journalCall
	next  int
	// exact tells that this run does what the one before did, call by call. Otherwise only
	// calls with an effect are answered from what is known.
	exact bool
}

// begun is how a run began.
type begun struct {
	// Run tells the entries of this run from those of one that it replaced.
	Run    int       `json:"run"`
	Digest string    `json:"digest"`
	Input  []byte    `json:"input"`
	Now    time.Time `json:"now"`
	Seed   [32]byte  `json:"seed"`
}

// journalCall is one host call of a run.
type journalCall struct {
	Function  contract.HostFunction `json:"function"`
	Arguments []byte                `json:"arguments"`
	Answer    []byte                `json:"answer,omitempty"`
	// Answered tells that Answer is the answer; a call without one is an intent.
	Answered bool `json:"answered,omitempty"`
	// Void tells that the host failed before anything went out.
	Void bool `json:"void,omitempty"`
}

// journalEntry is one entry as it is kept: the first is Begun, the others are calls.
type journalEntry struct {
	Run   int          `json:"run"`
	Begun *begun       `json:"begun,omitempty"`
	Call  *journalCall `json:"call,omitempty"`
}

// answerDelay is how long an answer may be in memory only. Most commands are committed
// within it, and so cost one write less.
const answerDelay = 5 * time.Millisecond

var (
	// errUncertain means that a call was cut off, and that repeating it may double it.
	errUncertain = errors.New("the host stopped while a call of the command was under way, and its platform does not " +
		"say that repeating it is safe")
	// errLeft means that a run that was to do the same again did something else.
	errLeft = errors.New("run again, the command asked for something else than before")
)

// openJournal returns the journal of a job's run: of a new one, or of the one that was cut
// off.
func (b *Broker) openJournal(ctx context.Context, of domain.Job) (*journal, error) {
	job := of.ID
	if unsettled, ok := b.unsettled.Load(job); ok {
		j := unsettled.(*journal)
		j.resume()
		return j, nil
	}
	entries, err := b.opts.Store.Journal(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("read the journal of job %s: %w", job, err)
	}
	j := &journal{store: b.opts.Store, job: job}
	if len(entries) == 0 {
		return j, nil
	}
	if entries, err = b.unsealed(of, entries); err == nil {
		err = j.load(entries)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of job %s: %w", job, err)
	}
	j.resume()
	return j, nil
}

// load reads what is kept. Entries of a run that was replaced may follow; they are not
// looked at.
func (j *journal) load(entries [][]byte) error {
	for i, raw := range entries {
		var e journalEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		switch {
		case i == 0 && e.Begun == nil:
			return errors.New("it does not say how the run began")
		case i == 0:
			j.begun = *e.Begun
		case e.Run != j.begun.Run || e.Call == nil:
			return nil
		default:
			j.calls = append(j.calls, *e.Call)
		}
	}
	return nil
}

// resume makes the journal the one of a run that does the same again.
func (j *journal) resume() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.restart(j.all(), len(j.begun.Input) > 0)
}

// rerun makes the journal the one of a run that begins anew, because the commit of the
// last one was refused: it reads what is there now, and does not repeat what that one did,
// nor what one before did that the last one did not come to.
func (j *journal) rerun() {
	j.mu.Lock()
	defer j.mu.Unlock()
	known := slices.DeleteFunc(j.all(), func(c journalCall) bool { return c.Void || !effectful(c.Function, c.Arguments) })
	j.restart(known, false)
	j.begun = begun{Run: j.begun.Run + 1}
}

// anew makes the journal the one of a run that may do all again.
func (j *journal) anew() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.restart(nil, false)
	j.begun = begun{Run: j.begun.Run + 1}
}

// restart begins the journal of another run. The caller holds mu.
func (j *journal) restart(known []journalCall, exact bool) {
	j.known, j.calls, j.next, j.exact, j.flushed, j.closed = known, nil, 0, exact, 0, false
	j.runs++
}

// all is a copy of what this run asked, and behind it what is known that it has not come to.
func (j *journal) all() []journalCall { return slices.Concat(j.calls, j.known[j.next:]) }

// resumes tells whether this run does the same as one that was cut off.
func (j *journal) resumes() bool { return j.exact && len(j.begun.Input) > 0 }

// acted tells whether a call of the run before may have had an effect that repeating it
// would double.
func (j *journal) acted() bool {
	return slices.ContainsFunc(j.known, journalCall.mayHaveActed) || slices.ContainsFunc(j.calls, journalCall.mayHaveActed)
}

// around makes a host function one that is journalled. redo is told of a call that is
// answered from what is known.
func (j *journal) around(name contract.HostFunction, f sandbox.HostFunc, redo func(args, answer []byte)) sandbox.HostFunc {
	return func(ctx context.Context, args []byte) ([]byte, error) {
		known, err := j.recall(name, args)
		switch {
		case err != nil:
			return nil, err
		case known != nil:
			redo(args, known.Answer)
			return bytes.Clone(known.Answer), nil
		}
		if !effectful(name, args) {
			answer, err := f(ctx, args)
			if err == nil {
				j.note(journalCall{Function: name, Arguments: bytes.Clone(args), Answer: bytes.Clone(answer), Answered: true})
			}
			return answer, err
		}
		return j.act(ctx, name, args, f)
	}
}

// recall returns the call if its answer is known; nil if it is to be made.
func (j *journal) recall(name contract.HostFunction, args []byte) (*journalCall, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next >= len(j.known) || !j.exact && !effectful(name, args) {
		return nil, nil
	}
	c := j.known[j.next]
	switch {
	case c.Function != name || !bytes.Equal(c.Arguments, args):
		return nil, fmt.Errorf("call %d was %s and is %s: %w", j.next+1, c.Function, name, errLeft)
	case c.Void || !c.Answered && repeatable(name, args):
		j.known = j.known[:j.next] // nothing is known from here on
		return nil, nil
	case !c.Answered:
		return nil, fmt.Errorf("call %d, %s: %w", j.next+1, name, errUncertain)
	}
	j.next++
	j.calls = append(j.calls, c)
	return &c, nil
}

func (j *journal) note(c journalCall) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, c)
}

// act makes a call with an effect: intent, call, answer.
func (j *journal) act(ctx context.Context, name contract.HostFunction, args []byte, f sandbox.HostFunc) ([]byte, error) {
	failpoint.Hit(failpoint.BrokerBeforeIntent)
	if err := j.intend(ctx, journalCall{Function: name, Arguments: bytes.Clone(args)}); err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.BrokerAfterIntent)
	answer, err := f(ctx, args)
	failpoint.Hit(failpoint.BrokerAfterAnswer)
	j.answered(answer, err)
	return answer, err
}

// intend makes the intent durable. If that fails, the call must not be made.
func (j *journal) intend(ctx context.Context, c journalCall) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, c)
	if err := j.flush(ctx); err != nil {
		j.calls = j.calls[:len(j.calls)-1]
		return fmt.Errorf("journal an intent: %w", err)
	}
	return nil
}

// answered notes what the last call was answered.
func (j *journal) answered(answer []byte, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := &j.calls[len(j.calls)-1]
	last.Answer, last.Answered, last.Void = bytes.Clone(answer), err == nil, err != nil
	j.flushed = min(j.flushed, len(j.calls))
	if j.prompt && err == nil {
		_ = j.flush(context.Background()) // if it cannot, the commit cannot either
		failpoint.Hit(failpoint.CredentialsAfterAnswer)
		return
	}
	run := j.runs
	j.timer = time.AfterFunc(answerDelay, func() { j.late(run) })
}

// late makes an answer of a run durable that no commit has taken along yet. If it cannot,
// the next intent or the commit cannot either. A run that has been replaced has no say any
// more: the next one has not repeated yet what it did.
func (j *journal) late(run int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed && j.runs == run {
		_ = j.flush(context.Background()) // see above
		failpoint.Hit(failpoint.BrokerAfterJournal)
	}
}

// flush makes durable what is not. The caller holds mu.
func (j *journal) flush(ctx context.Context) error {
	var entries [][]byte
	for i := j.flushed; i <= len(j.calls); i++ {
		e := journalEntry{Run: j.begun.Run}
		if i == 0 {
			e.Begun = &j.begun
		} else {
			e.Call = &j.calls[i-1]
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if j.seal != nil {
			if raw, err = j.seal(raw); err != nil {
				return err
			}
		}
		entries = append(entries, raw)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := j.store.WriteJournal(ctx, j.job, j.flushed, entries); err != nil {
		return err
	}
	j.flushed = len(j.calls) + 1
	return nil
}

// close ends the writing: what comes next is the commit.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	if j.timer != nil {
		j.timer.Stop()
	}
}

// effectful tells whether a call may change something outside the host.
func effectful(name contract.HostFunction, args []byte) bool {
	switch name {
	case contract.HostHTTPSend:
		return !safeMethod(requestOf(name, args).Method)
	case contract.HostMediaPut:
		return true
	case contract.HostMediaFetch: // what it keeps has one handle, however often the plugin runs
		return true
	}
	return false
}

// repeatable tells whether making a call again comes to the same as making it once: the
// method says so (RFC 9110 section 9.2), or the plugin says so of its platform.
func repeatable(name contract.HostFunction, args []byte) bool {
	r := requestOf(name, args)
	return r.Idempotent || safeMethod(r.Method)
}

func safeMethod(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS"
}

// requestOf returns the request of a call; one that cannot be read is answered as invalid
// and goes nowhere.
func requestOf(name contract.HostFunction, args []byte) contract.HTTPRequest {
	if name == contract.HostMediaPut {
		var put contract.MediaPut
		if contract.Unmarshal(args, &put) != nil {
			return contract.HTTPRequest{}
		}
		return put.Request
	}
	if name == contract.HostMediaFetch {
		return contract.HTTPRequest{Method: "GET"}
	}
	var r contract.HTTPRequest
	if contract.Unmarshal(args, &r) != nil {
		return contract.HTTPRequest{}
	}
	return r
}

// mayHaveActed tells whether the call may have had an effect that repeating it would
// double. A platform that answers 4xx refused it.
func (c journalCall) mayHaveActed() bool {
	if c.Void || !effectful(c.Function, c.Arguments) || repeatable(c.Function, c.Arguments) {
		return false
	}
	var result contract.HTTPResult
	if !c.Answered || contract.Unmarshal(c.Answer, &result) != nil {
		return true
	}
	if result.Error != nil {
		return !result.Error.Certain
	}
	return result.Status < 400 || result.Status > 499
}

// failureOf says what becomes of a command whose invocation failed.
func (j *journal) failureOf(cause error) contract.Failure {
	switch {
	case errors.Is(cause, errUncertain):
		return uncertain("interrupted", "The host stopped while the platform was being asked; whether it has the command is not known.")
	case errors.Is(cause, errLeft):
		return j.failure("diverged", "The command was cut off, and did something else when it was run again.")
	}
	return j.failure(failureCode(cause), "The plugin failed while it carried the command out.")
}

// failure is a failure of the plugin or the host. The command is run again, unless the
// platform may have it already.
func (j *journal) failure(code, message string) contract.Failure {
	if j.acted() {
		return uncertain(code, message+" Whether the platform has it is not known.")
	}
	return contract.Failure{Class: contract.FailureRetry, Code: code, Message: message}
}

// overQuota is the failure of a command that would keep more than its connection may.
func (j *journal) overQuota(cause error) contract.Failure {
	if j.acted() {
		return uncertain("quota", "The platform was asked, and what came of it could not be kept: "+bounded(cause.Error()))
	}
	return contract.Failure{Class: contract.FailurePermanent, Code: "quota", Message: bounded(cause.Error())}
}

// uncertain is the failure of a command of which nobody knows whether it took effect.
func uncertain(code, message string) contract.Failure {
	return contract.Failure{Class: contract.FailureUncertain, Code: code, Message: message}
}
