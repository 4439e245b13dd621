package emulator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// The operations of Amazon SNS.
const (
	// OpSNS is the posting of a message to the app.
	OpSNS = "sns.post"
	// OpSNSConfirm is the confirming of a subscription, by the app.
	OpSNSConfirm = "sns.confirm"
	// OpSNSCertificate is the getting of the certificate, by the app.
	OpSNSCertificate = "sns.certificate"
)

// SNSOptions says how events are published.
type SNSOptions struct {
	// Region, Account and Topic name the topic; empty means "eu-central-1", "111122223333" and
	// "uspacy-external-lines".
	Region, Account, Topic string
	// SignatureVersion is "1" (or empty) or "2".
	SignatureVersion string
	// Retries is how often a message that failed is posted again; 0 means 3, negative never.
	Retries int
	// RetryDelay is how long to wait before each; 0 means 20 seconds.
	RetryDelay time.Duration
	// Twice posts every notification twice, as delivery at least once allows.
	Twice bool
}

// sns is the topic, and the region it is in. Its state is guarded by the platform's mu.
type sns struct {
	p      *Platform
	opts   SNSOptions
	host   string
	signer *Signer
	path   string // of the certificate

	url          string // the app's sns_subscription_url
	token        string // that confirms the subscription
	subscription string // its ARN; empty if there is none that is confirmed
	queue        []string
	posting      bool
}

func newSNS(p *Platform) (*sns, error) {
	o := p.opts.SNS
	o.Region = cmp.Or(o.Region, "eu-central-1")
	o.Account = cmp.Or(o.Account, "111122223333")
	o.Topic = cmp.Or(o.Topic, "uspacy-external-lines")
	o.SignatureVersion = cmp.Or(o.SignatureVersion, "1")
	o.Retries = cmp.Or(o.Retries, 3)
	o.RetryDelay = cmp.Or(o.RetryDelay, 20*time.Second)
	signer, err := newTopicSigner(p.now())
	if err != nil {
		return nil, err
	}
	s := &sns{p: p, opts: o, signer: signer, host: "sns." + o.Region + ".amazonaws.com"}
	s.path = "/SimpleNotificationService-" + p.random(16) + ".pem"
	p.handle(s.host, s)
	p.listeners = append(p.listeners, s.publish)
	return s, nil
}

func (s *sns) arn() string {
	return "arn:aws:sns:" + s.opts.Region + ":" + s.opts.Account + ":" + s.opts.Topic
}

// ServeHTTP is SNS in the topic's region.
func (s *sns) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && r.URL.Path == s.path:
		s.p.play(w, r, OpSNSCertificate, func([]byte) answer { return answer{200, "application/x-pem-file", s.signer.PEM()} })
	case r.Method == http.MethodGet && r.URL.Path == "/" && query.Get("Action") == "ConfirmSubscription":
		s.p.play(w, r, OpSNSConfirm, func([]byte) answer { return s.confirm(query) })
	default:
		s.p.play(w, r, "sns.unknown", func([]byte) answer { return xmlError("InvalidAction", "no such thing here") })
	}
}

const xmlns = `xmlns="http://sns.amazonaws.com/doc/2010-03-31/"`

func xmlError(code, message string) answer {
	body := `<ErrorResponse ` + xmlns + `><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + message + `</Message></Error></ErrorResponse>`
	return answer{http.StatusBadRequest, "text/xml", []byte(body)}
}

// confirm answers ConfirmSubscription. The token is good again and again.
func (s *sns) confirm(query url.Values) answer {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if query.Get("TopicArn") != s.arn() || s.token == "" || query.Get("Token") != s.token {
		return xmlError("InvalidParameter", "Invalid token")
	}
	if s.subscription == "" {
		s.subscription = s.arn() + ":" + s.p.newUUID()
	}
	body := `<ConfirmSubscriptionResponse ` + xmlns + `><ConfirmSubscriptionResult><SubscriptionArn>` + s.subscription +
		`</SubscriptionArn></ConfirmSubscriptionResult><ResponseMetadata><RequestId>` + s.p.newUUID() +
		`</RequestId></ResponseMetadata></ConfirmSubscriptionResponse>`
	return answer{http.StatusOK, "text/xml", []byte(body)}
}

// TopicARN names the topic.
func (p *Platform) TopicARN() string { return p.sns.arn() }

// SNSSigner is what the topic's messages are signed with.
func (p *Platform) SNSSigner() *Signer { return p.sns.signer }

// SNSMessage makes a message of a type, signed: "Notification", "SubscriptionConfirmation" or
// "UnsubscribeConfirmation". Whoever changes a field signs it again, or lets it be a forgery.
func (p *Platform) SNSMessage(kind, message string) SNSFields {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sns
	f := SNSFields{
		"Type": kind, "MessageId": p.newUUID(), "TopicArn": s.arn(), "Message": message,
		"Timestamp":        p.now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"SignatureVersion": s.opts.SignatureVersion, "SigningCertURL": "https://" + s.host + s.path,
	}
	if kind == "Notification" {
		f["UnsubscribeURL"] = "https://" + s.host + "/?Action=Unsubscribe&SubscriptionArn=" + url.QueryEscape(s.subscription)
	} else {
		s.token = p.random(64)
		f["Token"] = s.token
		f["SubscribeURL"] = "https://" + s.host + "/?Action=ConfirmSubscription&TopicArn=" + s.arn() + "&Token=" + s.token
	}
	s.signer.Sign(f)
	return f
}

// PostSNS posts a message to the app as SNS does, with header fields that agree with it, and
// those of extra besides or instead.
func (p *Platform) PostSNS(ctx context.Context, f SNSFields, extra http.Header) (Answer, error) {
	p.mu.Lock()
	to, subscription := p.sns.url, p.sns.subscription
	p.mu.Unlock()
	if to == "" {
		return Answer{}, errors.New("emulator: the app has no sns_subscription_url; call Register first")
	}
	body := encode(f)
	r, err := http.NewRequest(http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("emulator: post to %s: %w", to, err)
	}
	r.Header = http.Header{
		"X-Amz-Sns-Message-Type": {f["Type"]}, "X-Amz-Sns-Message-Id": {f["MessageId"]}, "X-Amz-Sns-Topic-Arn": {f["TopicArn"]},
		"Content-Type": {"text/plain; charset=UTF-8"}, "User-Agent": {"Amazon Simple Notification Service Agent"},
	}
	if f["Type"] != "SubscriptionConfirmation" {
		r.Header.Set("X-Amz-Sns-Subscription-Arn", subscription)
	}
	for name, values := range extra {
		r.Header[name] = values
	}
	return p.send(ctx, OpSNS, r, body)
}

// Subscribe has SNS ask the app to confirm a subscription, as Uspacy's side would once.
func (p *Platform) Subscribe(ctx context.Context) (Answer, error) {
	return p.PostSNS(ctx, p.SNSMessage("SubscriptionConfirmation",
		"You have chosen to subscribe to the topic "+p.TopicARN()+".\nTo confirm the subscription, visit the SubscribeURL included in this message."), nil)
}

// Unsubscribe ends the subscription, and tells the app.
func (p *Platform) Unsubscribe(ctx context.Context) (Answer, error) {
	p.mu.Lock()
	p.sns.subscription = ""
	p.mu.Unlock()
	return p.PostSNS(ctx, p.SNSMessage("UnsubscribeConfirmation",
		"You have chosen to deactivate subscription to the topic "+p.TopicARN()+"."), nil)
}

// Subscribed tells whether the subscription is confirmed.
func (p *Platform) Subscribed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sns.subscription != ""
}

// WaitSubscribed waits until the subscription is confirmed.
func (p *Platform) WaitSubscribed(ctx context.Context) error {
	if err := p.rec.Until(ctx, p.Subscribed); err != nil {
		return fmt.Errorf("emulator: the subscription was not confirmed (of %s): %w", p.Summary(), err)
	}
	return nil
}

// publish posts an event to the app, if its subscription is confirmed: each once in the order
// they come, and what failed again after a while, whatever came since.
func (s *sns) publish(event string) {
	s.p.mu.Lock()
	if s.subscription == "" {
		s.p.mu.Unlock()
		return
	}
	s.queue = append(s.queue, event)
	begin := !s.posting
	s.posting = true
	s.p.mu.Unlock()
	if begin {
		s.p.server.Later(s.post)
	}
}

// post posts what is queued.
func (s *sns) post() {
	for {
		s.p.mu.Lock()
		if len(s.queue) == 0 || s.p.server.Context().Err() != nil {
			s.posting = false
			s.p.mu.Unlock()
			return
		}
		event := s.queue[0]
		s.queue = s.queue[1:]
		s.p.mu.Unlock()
		m := s.p.SNSMessage("Notification", event)
		if !s.attempt(m) {
			s.p.server.Later(func() { s.retry(m) })
		}
		if s.opts.Twice {
			s.attempt(m)
		}
	}
}

// attempt posts a message once. As SNS does, it takes every status from 200 to 499 for handled.
func (s *sns) attempt(m SNSFields) bool {
	ctx, cancel := context.WithTimeout(s.p.server.Context(), 15*time.Second)
	defer cancel()
	a, err := s.p.PostSNS(ctx, m, nil)
	return err == nil && a.Status >= 200 && a.Status < 500
}

// retry posts a message again until it is handled or SNS gives up.
func (s *sns) retry(m SNSFields) {
	for range s.opts.Retries {
		timer := time.NewTimer(s.opts.RetryDelay)
		select {
		case <-timer.C:
		case <-s.p.server.Context().Done():
			timer.Stop()
			return
		}
		if s.attempt(m) {
			return
		}
	}
}
