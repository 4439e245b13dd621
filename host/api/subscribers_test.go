package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/host/subscribers"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

const onlySubscriber = "/v1/workspaces/wsp_1/subscribers/sub_1"

func aSubscriber(id domain.SubscriberID) domain.SubscriberStatus {
	return domain.SubscriberStatus{
		Subscriber: domain.Subscriber{ID: id, Workspace: owner(id), Name: "CRM", URL: "https://crm.test/?key=url-secret", State: domain.SubscriberActive,
			PrivateTargets: []string{"10.0.0.5:443"}, Secrets: []domain.SecretValue{{Ciphertext: []byte("cipher")}}, CreatedAt: now, UpdatedAt: now},
		Progress:  domain.SubscriberProgress{Cursor: 3, Failures: 2, FailingSince: now, LastFailure: &contract.Failure{Code: "http_500"}},
		LastEvent: 5, Queued: 1, Parked: 2,
	}
}

func (f *fake) SubscriberStatus(_ context.Context, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	if owner(id) != ws {
		return domain.SubscriberStatus{}, missing("subscriber")
	}
	return aSubscriber(id), nil
}

func (f *fake) Subscribers(_ context.Context, ws contract.WorkspaceID, p domain.Page) ([]domain.SubscriberStatus, string, error) {
	return []domain.SubscriberStatus{aSubscriber(domain.SubscriberID("sub_" + ws[4:]))}, f.paged(p), nil
}

func (f *fake) Notifications(_ context.Context, ws contract.WorkspaceID, id domain.SubscriberID, state domain.JobState, p domain.Page) ([]domain.Job, string, error) {
	if owner(id) != ws {
		return nil, "", missing("subscriber")
	}
	return []domain.Job{{ID: "ntf_1", State: state, Notify: &domain.Notification{Subscriber: id, Event: 7}}}, f.paged(p), f.did("notifications %s %s", id, state)
}

func (f *fake) CreateSubscriber(_ context.Context, by domain.Actor, ws contract.WorkspaceID, n subscribers.NewSubscriber) (domain.SubscriberStatus, secret.Text, error) {
	return aSubscriber("sub_1"), secret.New("whsec_shown"), f.did("subscribe %s %s %v after %v by %s", ws, n.URL, n.Kinds, n.After != nil, by.Subject)
}

func (f *fake) changed(what string, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	if owner(id) != ws {
		return domain.SubscriberStatus{}, missing("subscriber")
	}
	return aSubscriber(id), f.did("%s %s %s", what, ws, id)
}

func (f *fake) UpdateSubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, p subscribers.Patch) (domain.SubscriberStatus, error) {
	return f.changed("update", ws, id)
}

func (f *fake) RemoveSubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) error {
	_, err := f.changed("remove", ws, id)
	return err
}

func (f *fake) EnableSubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	return f.changed("enable", ws, id)
}

func (f *fake) PauseSubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (domain.SubscriberStatus, error) {
	return f.changed("pause", ws, id)
}

func (f *fake) RotateSubscriberSecret(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, overlap time.Duration) (secret.Text, error) {
	_, err := f.changed("rotate with "+overlap.String(), ws, id)
	return secret.New("whsec_new"), err
}

func (f *fake) TestSubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (subscribers.Tested, error) {
	_, err := f.changed("test", ws, id)
	return subscribers.Tested{Status: 500, Took: 12 * time.Millisecond, Reason: "It failed."}, err
}

func (f *fake) RewindSubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, after uint64) (domain.SubscriberStatus, error) {
	return f.changed("rewind", ws, id)
}

func (f *fake) RetrySubscriber(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID) (int, error) {
	_, err := f.changed("retry", ws, id)
	return 3, err
}

func (f *fake) AllowSubscriberTargets(_ context.Context, _ domain.Actor, ws contract.WorkspaceID, id domain.SubscriberID, targets []string) (domain.SubscriberStatus, error) {
	return f.changed("allow "+strings.Join(targets, " "), ws, id)
}

func (f *fake) FirstEventSeq(context.Context, contract.WorkspaceID) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) == 0 {
		return 1, nil
	}
	return f.events[0].Seq, nil
}

func TestSubscribersSecretsAreShownOnce(t *testing.T) {
	h := open(t)
	made := h.do("admin", "POST", "/v1/workspaces/wsp_1/subscribers", `{"name":"CRM","url":"https://crm.test/","kinds":["postback"],"after":0}`)
	if made.status != http.StatusCreated || !strings.Contains(made.body, `"secret":"whsec_shown"`) {
		t.Errorf("created: %d %s", made.status, made.body)
	}
	if calls := h.called(); len(calls) != 1 || calls[0] != "subscribe wsp_1 https://crm.test/ [postback] after true by anna" {
		t.Errorf("did %q", calls)
	}
	for _, path := range []string{onlySubscriber, "/v1/workspaces/wsp_1/subscribers"} {
		admin, reader := h.do("admin", "GET", path, ""), h.do("reader", "GET", path, "")
		for _, hidden := range []string{"whsec_", "cipher", "Y2lwaGVy", "secrets"} {
			if strings.Contains(admin.body, hidden) {
				t.Errorf("%s shows %q: %s", path, hidden, admin.body)
			}
		}
		if !strings.Contains(admin.body, "url-secret") || strings.Contains(reader.body, "url-secret") || strings.Contains(reader.body, "10.0.0.5") {
			t.Errorf("%s: the URL is for administrators: %s", path, reader.body)
		}
		if !strings.Contains(reader.body, `"cursor":3,"behind":2,"queued":1,"parked":2,"failures":2`) {
			t.Errorf("%s: %s", path, reader.body)
		}
	}
}

func TestOnlyOperatorsAllowSubscribersPrivateTargets(t *testing.T) {
	h := open(t)
	const body = `{"name":"CRM","url":"http://10.0.0.5:80/","private_targets":["10.0.0.5:80"]}`
	h.do("admin", "POST", "/v1/workspaces/wsp_1/subscribers", body).problem(t, http.StatusForbidden)
	h.do("operator", "POST", "/v1/workspaces/wsp_1/subscribers", body).expect(t, http.StatusCreated)
	h.do("admin", "PUT", onlySubscriber+"/private-targets", `{"targets":[]}`).problem(t, http.StatusForbidden)
}

func TestWhatIsDoneToASubscriber(t *testing.T) {
	for _, tt := range []struct {
		name, method, below, body, did, answer string
		status                                 int
	}{
		{"a rotation overlaps a day if nothing is said", "POST", "/secret/rotate", `{}`, "rotate with 24h0m0s wsp_1 sub_1", `{"secret":"whsec_new"}`, 200},
		{"a rotation at once", "POST", "/secret/rotate", `{"overlap_seconds":0}`, "rotate with 0s wsp_1 sub_1", `{"secret":"whsec_new"}`, 200},
		{"a test tells what came of it", "POST", "/test", "", "test wsp_1 sub_1", `{"taken":false,"status":500,"took_millis":12,"reason":"It failed."}`, 200},
		{"a retry tells how much", "POST", "/retry", "", "retry wsp_1 sub_1", `{"queued":3}`, 200},
		{"a removal", "DELETE", "", "", "remove wsp_1 sub_1", "", 204},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			got := h.do("admin", tt.method, onlySubscriber+tt.below, tt.body)
			if calls := h.called(); got.status != tt.status || strings.TrimSpace(got.body) != tt.answer || len(calls) != 1 || calls[0] != tt.did {
				t.Errorf("got %d %s, did %q", got.status, got.body, calls)
			}
		})
	}
}

// publishKinds adds events of wsp_1 of these kinds, numbered from 1.
func (f *fake) publishKinds(kinds ...contract.EventKind) {
	f.mu.Lock()
	for _, kind := range kinds {
		seq := uint64(len(f.events) + 1)
		f.events = append(f.events, domain.Event{ID: "evt", Seq: seq, Workspace: "wsp_1", Connection: "con_1", CommittedAt: now, Data: contract.Event{Kind: kind}})
	}
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func TestEventsAreListedByKindAndConnection(t *testing.T) {
	h := open(t)
	for range 300 {
		h.publishKinds(contract.EventTyping, contract.EventTyping, contract.EventPostback)
	}
	const path = "/v1/workspaces/wsp_1/events?limit=200"
	for _, tt := range []struct {
		name, query string
		items       int
		next        string
	}{
		{"one kind, first page", "&kind=postback", 200, "600"},
		{"one kind, last page", "&kind=postback&after=600", 100, ""},
		{"two kinds", "&kind=postback&kind=typing", 200, "200"},
		{"another connection", "&connection=con_2", 0, ""},
		{"two connections", "&connection=con_2&connection=con_1&kind=postback", 200, "600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var page struct {
				Items []any
				Next  string
			}
			got := h.do("reader", "GET", path+tt.query, "")
			if err := json.Unmarshal([]byte(got.body), &page); err != nil || len(page.Items) != tt.items || page.Next != tt.next {
				t.Errorf("got %d %.300s, %d items, next %q, want %d, %q", got.status, got.body, len(page.Items), page.Next, tt.items, tt.next)
			}
		})
	}
	h.do("reader", "GET", path+"&kind=nonsense", "").problem(t, http.StatusUnprocessableEntity)
}

func TestACursorBeforeWhatIsKeptIsGone(t *testing.T) {
	h := open(t)
	h.publish(7, 8)
	for _, path := range []string{"/v1/workspaces/wsp_1/events", streamPath} {
		got := h.do("reader", "GET", path+"?after=5", "")
		got.problem(t, http.StatusGone)
		if !strings.Contains(got.body, "cursor_expired") || !strings.Contains(got.body, "the oldest is 7: go on after 6") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	for _, after := range []string{"", "?after=0", "?after=6", "?after=8"} {
		h.do("reader", "GET", "/v1/workspaces/wsp_1/events"+after, "").expect(t, http.StatusOK)
	}
}

// A client that filters learns how far the stream is, so that it can go on from there.
func TestAFilteredStreamTellsHowFarItIs(t *testing.T) {
	h := open(t)
	h.publishKinds(contract.EventTyping, contract.EventPostback, contract.EventTyping, contract.EventTyping)
	l := h.listen("reader", "?after=0&kind=postback")
	l.begins(0)
	if got := l.frame(); len(got) != 3 || got[0] != "id: 2" || got[1] != "event: patchbay.postback" {
		t.Fatalf("got %q, want event 2", got)
	}
	h.ticks <- now
	if got := l.frame(); len(got) != 1 || got[0] != ": still here" {
		t.Fatalf("got %q, want a heartbeat", got)
	}
	if got := l.frame(); len(got) != 1 || got[0] != "id: 4" {
		t.Fatalf("got %q, want the place after two events that were left out", got)
	}
	for range 120 {
		h.publishKinds(contract.EventTyping)
	}
	if got := l.frame(); len(got) != 1 || !strings.HasPrefix(got[0], "id: ") {
		t.Fatalf("got %q, want the place after very many that were left out", got)
	}
}
