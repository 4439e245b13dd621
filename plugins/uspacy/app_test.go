package main

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
	"github.com/seed75a60ee1/patchbay/plugins/uspacy/emulator"
)

const (
	acme     = "acme.uspacy.ua"
	topicARN = "arn:aws:sns:eu-central-1:111122223333:example-lines"
	certPath = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
	certLink = "https://sns.eu-central-1.amazonaws.com" + certPath
)

// testNow is the time in these tests, the one that pdktest begins with.
var testNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// amazon signs as the topics of most regions do. Making the key takes a while.
var amazon = sync.OnceValue(func() *emulator.Signer { return newSigner(emulator.SignerOptions{}) })

func newSigner(o emulator.SignerOptions) *emulator.Signer {
	o.Now = testNow
	s, err := emulator.NewSigner(o)
	if err != nil {
		panic(err)
	}
	return s
}

// app is the app's side of the connector: its host, and what comes to its address.
type app struct {
	t   testing.TB
	h   *pdktest.Host
	set map[string]string // of the app
}

// newApp makes an app with the manifest's defaults, one topic, and extra settings, name and
// value in turn.
func newApp(t testing.TB, extra ...string) *app {
	t.Helper()
	m := readManifest(t)
	set := map[string]string{"portal_url": "https://" + acme, "sns_topic_arns": topicARN, "client_id": "app-1"}
	for i := 0; i < len(extra); i += 2 {
		set[extra[i]] = extra[i+1]
	}
	full := m.WithDefaults(set)
	a := &app{t: t, h: pdktest.New(m, set), set: maps.Clone(full)}
	a.h.Answer("GET", certPath, contract.HTTPResult{Status: 200, Body: string(amazon().PEM())})
	return a
}

// readManifest reads plugin.yaml, once.
func readManifest(t testing.TB) *manifest.Manifest {
	t.Helper()
	m, err := manifestOnce()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var manifestOnce = sync.OnceValues(func() (*manifest.Manifest, error) {
	text, err := os.ReadFile("plugin.yaml")
	if err != nil {
		return nil, err
	}
	return manifest.ParseYAML(text)
})

// route brings a request to the app.
func (a *app) route(d contract.Delivery, body string) *contract.RouteOutput {
	a.t.Helper()
	out, err := a.tryRoute(d, body)
	if err != nil {
		a.t.Fatalf("route %s %s: %v", d.Method, d.Path, err)
	}
	return out
}

func (a *app) tryRoute(d contract.Delivery, body string) (*contract.RouteOutput, error) {
	d.ID, d.ReceivedAt, d.BodyBytes = "dlv_1", a.h.Now(), int64(len(body))
	a.h.SetBody([]byte(body))
	out, err := a.h.Route(connector{}, &contract.RouteInput{Delivery: d, Settings: a.set, App: "app_1"})
	if problems := a.h.Problems(); len(problems) > 0 {
		a.t.Errorf("no host would allow: %q", problems)
	}
	return out, err
}

// wantRefused checks that a delivery was rejected, with this status and code.
func wantRefused(t testing.TB, out *contract.RouteOutput, status int64, code string) {
	t.Helper()
	switch {
	case out.Rejected == nil:
		t.Errorf("it was not rejected: %+v", out)
	case out.Response.Status != status || out.Rejected.Code != code:
		t.Errorf("it was rejected with %d %s, want %d %s", out.Response.Status, out.Rejected.Code, status, code)
	case out.Response.Body != `{"status":false}`:
		t.Errorf("the answer tells more than it should: %s", out.Response.Body)
	}
}

// appConnection is the app as commands see it.
func (a *app) appConnection() contract.Connection {
	return contract.Connection{ID: "app_1", Workspace: "wsp_host", State: contract.StateConnecting, Settings: a.set, IsApp: true}
}

// connection is a connection of the app.
func (a *app) connection() contract.Connection {
	return contract.Connection{ID: "con_1", Workspace: "wsp_1", Name: "Shop", State: contract.StateConnecting, Settings: a.set,
		App: &contract.App{ID: "app_1", Settings: a.set}}
}

// command carries out a command, and fails the test if it could not.
func (a *app) command(in contract.Appendable) *contract.CommandOutput {
	a.t.Helper()
	out, err := a.h.Command(connector{}, in)
	if err != nil {
		a.t.Fatal(err)
	}
	if problems := a.h.Problems(); len(problems) > 0 {
		a.t.Errorf("no host would allow: %q", problems)
	}
	return out
}

// work carries out what route or a command asked for, in app scope.
func (a *app) work(list []contract.CommandRequest) *contract.CommandOutput {
	a.t.Helper()
	out := new(contract.CommandOutput)
	for _, c := range list {
		out = a.command(&contract.ReconcileInput{Command: info(), Connection: a.appConnection(), Payload: c.Payload})
	}
	return out
}

func info() contract.CommandInfo {
	return contract.CommandInfo{ID: "cmd_1", Attempt: 1, CreatedAt: testNow}
}

// statesIn lists the state codes among events.
func statesIn(events []contract.Event) string {
	var list []string
	for _, e := range events {
		if e.State != nil {
			list = append(list, string(e.State.State)+" "+e.State.Code)
		}
	}
	return strings.Join(list, ", ")
}

// tokenOf makes an integration token: a header and claims beside the usual ones, signed with
// the app's client secret.
func (a *app) tokenOf(header, claims map[string]any) string {
	a.t.Helper()
	return signJWT(a.t, jwt.SigningMethodHS256, []byte(a.h.Secret("client_secret")), header, claims, a.h.Now())
}

// signJWT makes a token with the times that every integration token has. A header or claim of
// nil is left out.
func signJWT(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any, now time.Time) string {
	t.Helper()
	all := jwt.MapClaims{"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	token := jwt.NewWithClaims(method, all)
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	for name, value := range header {
		if token.Header[name] = value; value == nil {
			delete(token.Header, name)
		}
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func authorised(token string) []contract.Header {
	return []contract.Header{{Name: "Authorization", Value: "Bearer " + token}}
}

const installBody = `{"token":"access-1","refresh_token":"refresh-1","expiry_date":1767312000,"domain":"evil.uspacy.ua"}`

func installDelivery(token string) contract.Delivery {
	return contract.Delivery{Method: "POST", Path: pathInstall, Headers: authorised(token)}
}

func uninstallDelivery(token string) contract.Delivery {
	return contract.Delivery{Method: "DELETE", Path: "/portals/uninstall", Headers: authorised(token)}
}

// notification is a genuine message of the topic, not signed yet.
func notification(message string) emulator.SNSFields {
	return emulator.SNSFields{
		"Type": "Notification", "MessageId": "5d1b3a0e-7d55-5c0e-9a2b-6f5b2e0c7f10", "TopicArn": topicARN, "Message": message,
		"Timestamp": testNow.Add(-time.Minute).Format(timestampForm), "SignatureVersion": "1", "SigningCertURL": certLink,
		"UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=x",
	}
}

// confirmation is a genuine confirmation of a topic's, of either kind, not signed yet.
func confirmation(kind, arn string) emulator.SNSFields {
	name, _ := parseARN(arn)
	f := notification("You have chosen to subscribe.\nTo confirm, visit the SubscribeURL.")
	delete(f, "UnsubscribeURL")
	f["Type"], f["TopicArn"], f["Token"] = kind, arn, strings.Repeat("2336412f37", 8)
	f["SubscribeURL"] = "https://" + name.host() + "/?Action=ConfirmSubscription&TopicArn=" + arn + "&Token=" + f["Token"]
	f["SigningCertURL"] = "https://" + name.host() + certPath
	return f
}

// sns brings a message to the app as SNS does, with header fields that agree with it.
func (a *app) sns(f emulator.SNSFields) *contract.RouteOutput {
	a.t.Helper()
	return a.route(snsDelivery(f), snsBody(a.t, f))
}

func snsDelivery(f emulator.SNSFields) contract.Delivery {
	return contract.Delivery{Method: "POST", Path: pathSNS, Headers: []contract.Header{
		{Name: "X-Amz-Sns-Message-Type", Value: f["Type"]}, {Name: "X-Amz-Sns-Message-Id", Value: f["MessageId"]},
		{Name: "X-Amz-Sns-Topic-Arn", Value: f["TopicArn"]}, {Name: "Content-Type", Value: "text/plain; charset=UTF-8"},
	}}
}

func snsBody(t testing.TB, f emulator.SNSFields) string {
	t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// reply is an event as the protocol expects it.
const reply = `{"service":"messenger","entity":"message","action":"create","payload":{"id":"m-1","chatId":"c-1","timestamp":1797930123456,` +
	`"authorId":18,"message":"Your order **leaves today**","type":"MESSAGE","externalLine":{"id":"66f2aa01","portal":"acme.uspacy.ua"},"readBy":[18]}}`
