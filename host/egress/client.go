// Package egress is the only way out of the host: every request that a plugin wants made
// goes through a [Client], under a [domain.EgressPolicy].
//
// Nothing is allowed that no rule names. What a rule names is then dialled only if the
// address, after DNS and right before connect, is a public one, or is a target that an
// operator wrote down for this connection. Redirects are not followed (by [Client.Download]
// only after the same checks), no proxy is taken from the environment, nothing is
// inflated without a limit, and every size and time is bounded.
//
// Secrets are put in here, after the plugin is done with a request: it writes
// {{secret:NAME}} or {{credential:NAME}} into the value of a header field, as the whole
// value of a query parameter or as a whole string of a JSON body, and a rule must let the
// name through. A value that comes back in the answer is turned into its placeholder
// again before the plugin sees it.
package egress

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Options says how a client works. The zero value means the documented defaults.
type Options struct {
	// CACertFile is a PEM file of certificate authorities to trust beside the system's.
	CACertFile string
	// DefaultTimeout limits an exchange that asks for no limit; 0 means 10 s.
	DefaultTimeout time.Duration
	// MaxTimeout limits every exchange; 0 means 60 s. Download and Upload have this limit.
	MaxTimeout time.Duration
	// MaxRequestBytes limits the body of a request, placeholders filled; 0 means 1 MiB.
	MaxRequestBytes int64
	// MaxResponseBytes limits what a plugin sees of an answer's body; 0 means 1 MiB.
	MaxResponseBytes int64
	// Resolver looks host names up; nil means the system's resolver. Its answers are not
	// trusted: each address is checked when it is dialled.
	Resolver *net.Resolver
	// Resolve has "host:port" dialled at "ip:port" without asking DNS. The address is checked
	// as any other is; a certificate must still be the name's.
	Resolve map[string]string
	// Cached bounds what [Client.CachedGet] keeps.
	Cached CacheOptions
	// Now is the clock for Exchange.Took; nil means time.Now.
	Now func() time.Time
	// Observe is called after every exchange, on its goroutine; nil means nobody looks.
	Observe func(Exchange)
	// BreakerFailures is how many of the last requests to a destination must fail, four
	// fifths of them, for it to be left alone; 0 means 8. BreakerDelay is for how long, until
	// it is tried again; 0 means 15 s.
	BreakerFailures int
	BreakerDelay    time.Duration
	// MaxPause limits how long a destination is left alone because it says so; 0 means 1 h.
	MaxPause time.Duration
	// OnBreaker is told when a destination is left alone, and when not any more, on the
	// goroutine of an exchange; nil means nobody is. It must not send anything itself.
	OnBreaker func(BreakerChange)
}

// Exchange is one request and what came of it, for metrics and logs. It holds no secret.
type Exchange struct {
	// Plugin is the policy's.
	Plugin string
	// Rule, Method and Host say where it went; Rule is empty if none allowed it.
	Rule, Method, Host string
	// Status is the platform's, and Code the code of a HostError; one of them is zero.
	Status int
	Code   string
	// Err says why Code, for the operator.
	Err  error
	Took time.Duration
	// Wait is how long the plugin was told to wait before it asks again, where the host sent
	// nothing and will by then: a token is being renewed, a rate is used up, a destination is
	// left alone. 0 otherwise.
	Wait time.Duration
}

// Client makes requests. It is safe for use by many goroutines, and must be closed.
type Client struct {
	options  Options
	pool     *pool
	breakers *breakers
	rates    *rates
	cache    *cache

	closing context.Context // done once Close was called
	close   context.CancelFunc
	mu      sync.Mutex // guards the beginning of an exchange against Close
	running sync.WaitGroup
}

// New returns a client. It fails if CACertFile cannot be read.
func New(o Options) (*Client, error) {
	o.DefaultTimeout = orDefault(o.DefaultTimeout, 10*time.Second)
	o.MaxTimeout = orDefault(o.MaxTimeout, 60*time.Second)
	o.MaxRequestBytes = orDefault(o.MaxRequestBytes, 1<<20)
	o.MaxResponseBytes = orDefault(o.MaxResponseBytes, 1<<20)
	o.BreakerDelay = orDefault(o.BreakerDelay, 15*time.Second)
	o.MaxPause = orDefault(o.MaxPause, time.Hour)
	if o.BreakerFailures <= 0 {
		o.BreakerFailures = 8
	}
	if o.OnBreaker == nil {
		o.OnBreaker = func(BreakerChange) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Exchange) {}
	}
	connections, err := newPool(o)
	if err != nil {
		return nil, err
	}
	closing, stop := context.WithCancel(context.Background())
	return &Client{options: o, pool: connections, breakers: newBreakers(o), rates: newRates(), cache: newCache(o.Cached),
		closing: closing, close: stop}, nil
}

func orDefault[T time.Duration | int64](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Close ends the exchanges that run, waits for them and closes all connections. Later
// exchanges fail with HostUnavailable.
func (c *Client) Close() {
	c.mu.Lock()
	c.close()
	c.mu.Unlock()
	c.running.Wait()
	c.pool.close()
}

// begin bounds an exchange by a time limit and by Close. The function that it returns
// must be called at the exchange's end.
func (c *Client) begin(ctx context.Context, limit time.Duration) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing.Err() != nil {
		return nil, nil, failed(contract.HostUnavailable, nil, "the host is shutting down")
	}
	c.running.Add(1)
	ctx, cancel := context.WithTimeout(ctx, limit)
	unhook := context.AfterFunc(c.closing, cancel)
	return ctx, func() {
		unhook()
		cancel()
		c.running.Done()
	}, nil
}

// Send makes one request and returns the answer as the plugin may see it. It never
// follows a redirect. Reveal is asked for NAME where {{secret:NAME}} stands, and for
// "credential:NAME" where {{credential:NAME}} does, if a rule's Secrets hold that name;
// nil reveals nothing. What went wrong is in the result's Error, whose Certain tells that
// surely nothing was sent.
func (c *Client) Send(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, r contract.HTTPRequest) *contract.HTTPResult {
	draft := draft{method: r.Method, url: r.URL, headers: r.Headers, body: r.Body}
	return c.exchange(ctx, p, reveal, draft, r.TimeoutMillis)
}

// hostIn is the host of a URL that a plugin wrote; empty if it is no URL. A host holds no
// secret: placeholders stand behind it.
func hostIn(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// exchange plans, sends, reads and reports one request.
func (c *Client) exchange(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, d draft, timeoutMillis int64) *contract.HTTPResult {
	report, began := Exchange{Plugin: p.Plugin, Method: d.method, Host: hostIn(d.url)}, c.options.Now()
	result, err := c.answer(ctx, p, reveal, d, timeoutMillis, &report)
	if err != nil {
		fault := asFault(err)
		report.Status, report.Code, report.Err = 0, fault.Code, cmp.Or[error](fault.cause, fault.HostError)
		if fault.Code == contract.HostUnavailable && fault.Certain {
			report.Wait = time.Duration(fault.RetryAfterMillis) * time.Millisecond
		}
		result = &contract.HTTPResult{Error: fault.HostError}
	}
	report.Took = c.options.Now().Sub(began)
	c.options.Observe(report)
	return result
}

func (c *Client) answer(ctx context.Context, p domain.EgressPolicy, reveal secret.Reveal, d draft, timeoutMillis int64,
	report *Exchange) (*contract.HTTPResult, error) {
	limit, err := c.timeout(timeoutMillis)
	if err != nil {
		return nil, err
	}
	ctx, end, err := c.begin(ctx, limit)
	if err != nil {
		return nil, err
	}
	defer end()
	plan, err := c.plan(ctx, p, reveal, d)
	if err != nil {
		return nil, err
	}
	report.Rule, report.Host = plan.rule, plan.request.URL.Host
	response, free, err := c.roundTrip(p, plan)
	if err != nil {
		return nil, err
	}
	defer free()
	defer response.Body.Close()
	report.Status = response.StatusCode
	result, err := readAnswer(response, plan.redactor, d.limit(c.options.MaxResponseBytes))
	if err != nil {
		return nil, c.broken(ctx, err, false, plan.redactor)
	}
	return result, nil
}

func (c *Client) timeout(millis int64) (time.Duration, error) {
	switch {
	case millis < 0:
		return 0, failed(contract.HostInvalid, nil, "timeout_millis is negative")
	case millis == 0:
		return min(c.options.DefaultTimeout, c.options.MaxTimeout), nil
	case millis > c.options.MaxTimeout.Milliseconds():
		return c.options.MaxTimeout, nil
	}
	return time.Duration(millis) * time.Millisecond, nil
}

// roundTrip sends one planned request as soon as the rates of its rules let it. free is to
// be called when the answer was read.
func (c *Client) roundTrip(p domain.EgressPolicy, plan *plan) (response *http.Response, free func(), err error) {
	free, err = c.rates.take(plan.request.Context(), p, plan.rules)
	if err != nil {
		return nil, nil, err
	}
	if response, err = c.transmit(p, plan); err != nil {
		free()
		return nil, nil, err
	}
	return response, free, nil
}

// transmit sends one planned request. A fault is certain if no connection was had, so
// that not one byte of the request can have left. A destination that is left alone is not
// asked.
func (c *Client) transmit(p domain.EgressPolicy, plan *plan) (*http.Response, error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	ctx := httptrace.WithClientTrace(plan.request.Context(), trace)
	leave, err := c.breakers.admit(p, plan.request.URL)
	if err != nil {
		return nil, err
	}
	response, err := c.pool.transport(p.PrivateTargets).RoundTrip(plan.request.WithContext(ctx))
	leave.done(ctx, response, err)
	if err != nil {
		return nil, c.broken(ctx, err, !connected.Load(), plan.redactor)
	}
	if response.StatusCode == http.StatusSwitchingProtocols { // its body would outlive every time limit
		_ = response.Body.Close()
		return nil, c.broken(ctx, errors.New("the server switched protocols unasked"), false, plan.redactor)
	}
	return response, nil
}

// broken says why a request has no answer. The cause may repeat what the platform said,
// so it is redacted, and only its text is kept.
func (c *Client) broken(ctx context.Context, err error, certain bool, r *redactor) *Fault {
	code, message := contract.HostUnreachable, "no connection could be made"
	switch {
	case errors.Is(err, errForbiddenAddress):
		code, message = contract.HostDenied, "the host name leads to an address that is not public"
	case c.closing.Err() != nil:
		code, message = contract.HostUnavailable, "the host is shutting down"
	case errors.Is(ctx.Err(), context.DeadlineExceeded), isTimeout(err):
		code, message = contract.HostTimeout, "there was no answer in time"
	case ctx.Err() != nil:
		code, message = contract.HostUnavailable, "the host gave the request up"
	case !certain:
		message = "the connection broke before the answer was complete"
	}
	cause := errors.New(r.text(err.Error()))
	return &Fault{HostError: &contract.HostError{Code: code, Message: message, Certain: certain}, cause: cause}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// asFault returns err as a fault; any other error is the host's own failure.
func asFault(err error) *Fault {
	if fault := (*Fault)(nil); errors.As(err, &fault) {
		return fault
	}
	return failed(contract.HostUnavailable, err, "the host failed")
}
