package emulator

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// listener is an app that answers what the test says, in turn, and then 200.
type listener struct {
	mu     sync.Mutex
	status []int
	bodies []string
	heads  []http.Header
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies, l.heads = append(l.bodies, string(body)), append(l.heads, r.Header.Clone())
	status := 200
	if len(l.status) > 0 {
		status, l.status = l.status[0], l.status[1:]
	}
	w.WriteHeader(status)
}

// listening starts a platform that has an app registered.
func listening(t *testing.T, opts Options) (*caller, *listener) {
	t.Helper()
	c, l := start(t, opts), new(listener)
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	c.p.Register(server.URL, server.URL+"/sns")
	return c, l
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// get gets a URL by the platform's names.
func (c *caller) get(url string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(limited(c.t), http.MethodGet, url, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestASubscriptionIsConfirmedByItsToken(t *testing.T) {
	c, l := listening(t, Options{})
	c.p.Portal("").Publish("before anybody listens")
	if a, err := c.p.Subscribe(limited(t)); err != nil || !a.OK() {
		t.Fatalf("it was answered %d, %v", a.Status, err)
	}
	var f SNSFields
	if !decode([]byte(l.bodies[0]), &f) || l.heads[0].Get("X-Amz-Sns-Message-Type") != "SubscriptionConfirmation" || l.heads[0].Get("X-Amz-Sns-Subscription-Arn") != "" {
		t.Fatalf("the app was sent %s with %v", l.bodies, l.heads)
	}
	if status, _ := c.get(strings.Replace(f["SubscribeURL"], f["Token"], "x", 1)); status != 400 || c.p.Subscribed() {
		t.Errorf("another token was answered %d", status)
	}
	if status, body := c.get(f["SubscribeURL"]); status != 200 || !strings.Contains(body, "<SubscriptionArn>"+c.p.TopicARN()+":") {
		t.Errorf("the confirmation was answered %d %s", status, body)
	}
	if err := c.p.WaitSubscribed(limited(t)); err != nil {
		t.Error(err)
	}
	if status, body := c.get(f["SigningCertURL"]); status != 200 || body != string(c.p.SNSSigner().PEM()) {
		t.Errorf("the certificate was answered %d %s", status, body)
	}
}

func TestSNSRepeatsWhatFailed(t *testing.T) {
	c, l := listening(t, Options{SNS: SNSOptions{RetryDelay: time.Millisecond, Retries: 2}})
	c.p.mu.Lock()
	c.p.sns.subscription = c.p.TopicARN() + ":1"
	c.p.mu.Unlock()
	l.status = []int{503, 500, 200, 404}
	c.p.Portal("").Publish("first")
	if _, err := c.p.WaitCount(limited(t), 3, Of(OpSNS)); err != nil {
		t.Fatal(err)
	}
	c.p.Portal("").Publish("second") // 404 is handled, and so is not repeated
	c.p.Portal("").Publish("third")
	seen, err := c.p.WaitCount(limited(t), 5, Of(OpSNS))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	var ids []string
	for _, e := range seen {
		var f SNSFields
		if !decode(e.Body, &f) {
			t.Fatalf("the app was sent %s", e.Body)
		}
		said, ids = append(said, f["Message"]), append(ids, f["MessageId"])
	}
	if got := strings.Join(said, " "); got != "first first first second third" {
		t.Errorf("the app was sent %q", got)
	}
	if ids[0] != ids[2] || ids[0] == ids[3] {
		t.Errorf("the ids are %q: a repeat has the first one's", ids)
	}
}

func TestLifecycleWebhooks(t *testing.T) {
	c, l := listening(t, Options{Portals: []string{"shop.uspacy.pl"}})
	o := c.p.Portal("")
	if a, err := o.Install(limited(t), Lifecycle{}); err != nil || !a.OK() {
		t.Fatalf("it was answered %d, %v", a.Status, err)
	}
	token := strings.TrimPrefix(l.heads[0].Get("Authorization"), "Bearer ")
	parsed, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return []byte("uspacy-client-secret"), nil }, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil || parsed.Header["domain"] != "shop.uspacy.pl" {
		t.Errorf("the bearer has the header %v, %v", parsed.Header, err)
	}
	var body struct {
		Token      string `json:"token"`
		Refresh    string `json:"refresh_token"`
		ExpiryDate int64  `json:"expiry_date"`
	}
	if pair := o.Tokens(); !decode([]byte(l.bodies[0]), &body) || body.Token != pair.Access || body.Refresh != pair.Refresh || body.ExpiryDate != pair.Expires.Unix() {
		t.Errorf("the app was sent %s, and the pair is %+v", l.bodies[0], o.Tokens())
	}
	if status, _ := o.auth.bearer(body.Token); status != 0 {
		t.Errorf("the portal refuses its own token with %d", status)
	}
	o.ExpireAccess()
	if status, _ := o.auth.bearer(body.Token); status != 401 {
		t.Errorf("an expired token was answered %d", status)
	}
	if a, err := o.Uninstall(limited(t), Lifecycle{}); err != nil || !a.OK() || l.bodies[1] != "" {
		t.Errorf("the uninstall %q was answered %d, %v", l.bodies[1], a.Status, err)
	}
}
