package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
)

// webhooks is a tenant's server: it verifies what comes with the official library, and
// keeps what it took, each event once.
type webhooks struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	status int // what it answers, if not 204
	ids    map[string]bool
	texts  []string // of messages, in order
	types  []string
	forged int
}

func listenForWebhooks(t *testing.T) *webhooks {
	h := &webhooks{ids: map[string]bool{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.receive))
	t.Cleanup(h.Close)
	return h
}

func (h *webhooks) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	verifier, _ := standardwebhooks.NewWebhook(h.secret)
	if err != nil || verifier.Verify(body, r.Header) != nil {
		h.forged++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if h.status != 0 {
		w.WriteHeader(h.status)
		return
	}
	var e client.Event
	if err := json.Unmarshal(body, &e); err == nil && !h.ids[r.Header.Get("webhook-id")] {
		h.ids[r.Header.Get("webhook-id")] = true
		h.types = append(h.types, e.Type)
		if e.Data.Message != nil && len(e.Data.Message.Parts) > 0 && e.Data.Message.Parts[0].Text != nil {
			h.texts = append(h.texts, e.Data.Message.Parts[0].Text.Plain)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *webhooks) answers(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *webhooks) has(texts ...string) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Equal(h.texts, texts)
	}
}

func (h *webhooks) address() string { return strings.TrimPrefix(h.URL, "http://") }

func TestASubscriberGetsWhatCustomersWrite(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil, "--subscribers.base_delay", "100ms", "--subscribers.max_delay", "200ms")
	h := listenForWebhooks(t)
	n := client.NewSubscriber{Name: "CRM", URL: h.URL + "/hooks?tenant=1", Kinds: []contract.EventKind{contract.EventMessageCreated}}
	if _, err := s.people.Tenant.CreateSubscriber(within(t), s.workspace.ID, n); err == nil {
		t.Error("a tenant may have the host reach a private address")
	}
	n.PrivateTargets = []string{h.address()}
	made, err := s.people.Operator.CreateSubscriber(within(t), s.workspace.ID, n)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.secret = made.Secret
	h.mu.Unlock()
	if tried, err := s.people.Tenant.TestSubscriber(within(t), s.workspace.ID, made.ID); err != nil || !tried.Taken || tried.Status != 204 {
		t.Errorf("the test gave %+v, %v", tried, err)
	}
	s.arrived(s.send("chat-1", "Where is my parcel?"))
	s.reply("chat-1", "On its {{secret:way}}.", 200)
	s.poll("the reply", h.has("On its {{secret:way}}."))

	h.answers(http.StatusInternalServerError)
	s.reply("chat-1", "second", 200)
	s.reply("chat-1", "third", 200)
	s.poll("that they are queued", func() bool {
		got, err := s.people.Tenant.Subscriber(within(t), s.workspace.ID, made.ID)
		return err == nil && got.Queued == 2 && got.Failures > 0
	})
	h.answers(0)
	s.poll("them in order", h.has("On its {{secret:way}}.", "second", "third"))

	secret, err := s.people.Tenant.RotateSubscriberSecret(within(t), s.workspace.ID, made.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.reply("chat-1", "with the old secret", 200)
	s.poll("an event that the old secret verifies", h.has("On its {{secret:way}}.", "second", "third", "with the old secret"))
	h.mu.Lock()
	h.secret = secret
	h.mu.Unlock()
	s.host.stop()
	s.restart()
	s.reply("chat-1", "with the new one", 200)
	s.poll("an event that the new secret verifies", h.has("On its {{secret:way}}.", "second", "third", "with the old secret", "with the new one"))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.forged > 0 || !slices.Contains(h.types, "patchbay.test") || len(h.types) != 6 {
		t.Errorf("%d requests were forged, and the types are %q", h.forged, h.types)
	}
}

func TestASubscriberThatIsGoneIsDisabledAndCanComeBack(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	h := listenForWebhooks(t)
	h.answers(http.StatusGone)
	made, err := s.people.Operator.CreateSubscriber(within(t), s.workspace.ID, client.NewSubscriber{Name: "CRM", URL: h.URL,
		Kinds: []contract.EventKind{contract.EventMessageCreated}, PrivateTargets: []string{h.address()}})
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.secret = made.Secret
	h.mu.Unlock()
	s.arrived(s.send("chat-1", "hi"))
	s.reply("chat-1", "anybody there?", 200)
	s.poll("that it is disabled", func() bool {
		got, err := s.people.Tenant.Subscriber(within(t), s.workspace.ID, made.ID)
		return err == nil && got.State == domain.SubscriberDisabled && strings.Contains(got.StateReason, "410")
	})
	h.answers(0)
	s.host.stop()
	s.restart()
	if _, err := s.people.Tenant.EnableSubscriber(within(t), s.workspace.ID, made.ID); err != nil {
		t.Fatal(err)
	}
	s.poll("the event that it had refused", h.has("anybody there?"))
	if err := s.people.Tenant.RemoveSubscriber(within(t), s.workspace.ID, made.ID); err != nil {
		t.Error(err)
	}
}
