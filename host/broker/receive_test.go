package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/registry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

func TestADeliveryIsAnsweredByThePluginAndItsEventIsKept(t *testing.T) {
	w := newWorld(t, echo)
	answer := w.deliver(t, "hello")
	if answer.Status != 200 || string(answer.Body) != "ok hello" {
		t.Errorf("answered %d %q", answer.Status, answer.Body)
	}
	if got := w.events(t); !slices.Equal(got, []string{"message.created hello"}) {
		t.Errorf("events %q", got)
	}
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if err != nil || kept.State != domain.DeliveryAccepted || string(kept.Body) != "hello" || kept.Digest != "sha256:test" {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

func TestAnUnknownEndpointIs404AndNothingIsKept(t *testing.T) {
	w := newWorld(t, echo)
	answer := w.Receive(t.Context(), broker.Request{Endpoint: "wrong", Method: "POST", Body: []byte("x")})
	deliveries, _, err := w.store.Deliveries(t.Context(), domain.DeliveryFilter{Workspace: w.workspace.ID}, domain.Page{})
	if answer.Status != 404 || answer.Delivery != "" || len(deliveries) != 0 || err != nil {
		t.Errorf("answered %d, kept %v, %v", answer.Status, deliveries, err)
	}
}

func TestARejectedDeliveryHasNoEffectsAndIsAudited(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "v"})
		out := said("chat", "forged")
		out.Response.Status, out.Rejected = 401, &contract.Rejection{Code: "token_mismatch", Reason: "the token differs"}
		return contract.Marshal(out), nil
	})
	answer := w.deliver(t, "hello")
	if answer.Status != 401 || len(w.events(t)) != 0 || w.counts.deliveries["rejected"] != 1 {
		t.Errorf("answered %d, events %v, counted %v", answer.Status, w.events(t), w.counts.deliveries)
	}
	if _, _, found, err := w.store.KVGet(t.Context(), w.connection.ID, "k", w.connection.CreatedAt); found || err != nil {
		t.Errorf("a key was written: %v, %v", found, err)
	}
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if err != nil || kept.State != domain.DeliveryRejected || kept.Body != nil || kept.Code != "token_mismatch" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	audited, _, err := w.store.AuditEntries(t.Context(), domain.AuditFilter{Action: "delivery.rejected"}, domain.Page{})
	if err != nil || len(audited) != 1 || audited[0].Target != string(answer.Delivery) {
		t.Errorf("audited %+v, %v", audited, err)
	}
}

func TestADeliveryThatLosesEveryRaceSaysWhatThePluginMadeOfIt(t *testing.T) {
	runs := 0
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		runs++
		done := ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "k", Value: "v", CheckVersion: true, ExpectedVersion: 7})
		return nil, &sandbox.GuestError{Message: "no luck: " + done.Error.Code}
	})
	answer := w.deliver(t, "hello")
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if answer.Status != 503 || err != nil || kept.Code != "conflict" || !strings.Contains(kept.Reason, "no luck: conflict") || runs < 2 {
		t.Errorf("after %d runs answered %d, kept as %q because %q, %v", runs, answer.Status, kept.Code, kept.Reason, err)
	}
}

func TestThePluginMayFailAndTheDeliveryMayNot(t *testing.T) {
	returns := func(out []byte, err error) guest {
		return func(context.Context, *call) ([]byte, error) { return out, err }
	}
	good := contract.Marshal(said("chat", "x"))
	for _, tt := range []struct {
		name  string
		guest guest
		err   error // of acquiring it
		code  string
	}{
		{"a trap", returns(nil, &sandbox.Trap{Export: "receive"}), nil, "plugin_trap"},
		{"its deadline", returns(nil, fmt.Errorf("x: %w", context.DeadlineExceeded)), nil, "plugin_deadline"},
		{"a limit", returns(nil, &sandbox.LimitError{Limit: "output bytes"}), nil, "plugin_limit"},
		{"an error of its own", returns(nil, &sandbox.GuestError{Message: "oops"}), nil, "plugin_error"},
		{"a broken host function", returns(nil, errors.New("disk")), nil, "host_failure"},
		{"no output", returns(nil, nil), nil, "plugin_bad_output"},
		{"garbage", returns([]byte("\x00\xff{"), nil), nil, "plugin_bad_output"},
		{"half an output", returns(good[:len(good)-2], nil), nil, "plugin_bad_output"},
		{"an output and more", returns(append(slices.Clone(good), good...), nil), nil, "plugin_bad_output"},
		{"an impossible status", returns([]byte(`{"response":{"status":99}}`), nil), nil, "plugin_bad_output"},
		{"an unknown kind of event", returns([]byte(`{"response":{"status":200},"events":[{"kind":"coup"}]}`), nil), nil, "plugin_bad_output"},
		{"no plugin", echo, registry.ErrNoPlugin, "plugin_missing"},
		{"a revoked plugin", echo, registry.ErrRevoked, "plugin_revoked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.guest)
			w.plugins.set(tt.guest, tt.err)
			answer := w.deliver(t, "hello")
			kept, err := w.store.Delivery(t.Context(), answer.Delivery)
			if answer.Status != 503 || err != nil || kept.State != domain.DeliveryFailed || string(kept.Body) != "hello" || kept.Code != tt.code {
				t.Fatalf("answered %d, kept %+v, %v; want 503 and code %s", answer.Status, kept, err, tt.code)
			}
			if len(w.events(t)) != 0 || w.counts.deliveries["failed"] != 1 {
				t.Errorf("events %v, counted %v", w.events(t), w.counts.deliveries)
			}

			w.plugins.set(echo, nil) // the vendor mends it
			kept, err = w.ReplayDelivery(t.Context(), domain.Actor{Subject: "op"}, w.workspace.ID, answer.Delivery, false)
			if err != nil || kept.State != domain.DeliveryAccepted || kept.Attempts != 2 {
				t.Errorf("replayed: %+v, %v", kept, err)
			}
			if got := w.events(t); !slices.Equal(got, []string{"message.created hello"}) {
				t.Errorf("after the replay: events %q", got)
			}
			var invalid *domain.Invalid
			if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, w.workspace.ID, answer.Delivery, true); !errors.As(err, &invalid) {
				t.Errorf("a second replay = %v, want that it is refused", err)
			}
		})
	}
}

func TestADisabledPluginKeepsItsDeliveries(t *testing.T) {
	w := newWorld(t, echo)
	if _, err := w.store.UpdateWorkspace(t.Context(), w.workspace.ID, func(w *domain.Workspace) error { w.Enabled = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	answer := w.deliver(t, "hello")
	kept, err := w.store.Delivery(t.Context(), answer.Delivery)
	if answer.Status != 503 || err != nil || kept.Code != "plugin_disabled" {
		t.Errorf("answered %d, kept %+v, %v", answer.Status, kept, err)
	}
}

func TestAClosedStoreAcknowledgesNothing(t *testing.T) {
	w := newWorld(t, echo)
	w.closed = true
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if answer := w.deliver(t, "hello"); answer.Status != 503 {
		t.Errorf("answered %d", answer.Status)
	}
}

func TestAReplayBelongsToItsWorkspace(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} })
	answer := w.deliver(t, "hello")
	if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, "wsp_other", answer.Delivery, false); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("another workspace's replay = %v, want ErrNotFound", err)
	}
}

func TestThePlatformsOwnRepeatSupersedesAKeptDelivery(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} })
	first := w.deliver(t, "hello")
	w.plugins.set(echo, nil)
	w.now.Add(10)
	if second := w.deliverAnswered(t, "hello"); second.Status != 200 {
		t.Fatalf("the repeat was answered %d", second.Status)
	}
	var invalid *domain.Invalid
	if _, err := w.ReplayDelivery(t.Context(), domain.Actor{}, w.workspace.ID, first.Delivery, false); !errors.As(err, &invalid) {
		t.Errorf("replay = %v, want that it is refused", err)
	}
	if kept, err := w.ReplayDelivery(t.Context(), domain.Actor{}, w.workspace.ID, first.Delivery, true); err != nil || kept.State != domain.DeliveryAccepted {
		t.Errorf("forced replay = %+v, %v", kept, err)
	}
}

func TestAReplayOfWhatHasTakenEffectMeanwhileIsSupersededUnlessForced(t *testing.T) {
	keyed := func(_ context.Context, g *call) ([]byte, error) {
		out := said("chat", body(g))
		out.DedupeKey = "platform-id-7"
		return contract.Marshal(out), nil
	}
	w := newWorld(t, func(context.Context, *call) ([]byte, error) { return nil, &sandbox.Trap{} })
	failed := w.deliver(t, "first wording")
	w.plugins.set(keyed, nil)
	w.deliver(t, "second wording")
	kept, err := w.ReplayDelivery(t.Context(), domain.Actor{}, w.workspace.ID, failed.Delivery, false)
	if err != nil || kept.State != domain.DeliverySuperseded || len(w.events(t)) != 1 {
		t.Errorf("replayed: %+v, %v, events %q", kept, err, w.events(t))
	}
	kept, err = w.ReplayDelivery(t.Context(), domain.Actor{}, w.workspace.ID, failed.Delivery, true)
	if err != nil || kept.State != domain.DeliveryAccepted {
		t.Errorf("forced: %+v, %v", kept, err)
	}
	if got := w.events(t); !slices.Equal(got, []string{"message.created second wording", "message.created first wording"}) {
		t.Errorf("events %q", got)
	}
}

func TestTheAnswerToARepeatIsTheFirstOnesAnswer(t *testing.T) {
	w := newWorld(t, echo)
	w.deliver(t, "hello")         // its answer is lost
	w.deliverAnswered(t, "hello") // the platform's repeat is answered for both
	w.deliver(t, "hello")         // somebody says the same again
	if got := w.events(t); len(got) != 2 {
		t.Errorf("events %q, want the first and the one said again", got)
	}
}

func TestARedeliveryWithTheSameKeyIsAnsweredAsTheFirst(t *testing.T) {
	runs := 0
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		runs++
		out := said("chat", fmt.Sprint("run ", runs))
		out.DedupeKey = "platform-id-7"
		return contract.Marshal(out), nil
	})
	first, second := w.deliver(t, "a"), w.deliver(t, "b")
	if string(first.Body) != "ok run 1" || string(second.Body) != "ok run 1" || second.Status != 200 {
		t.Errorf("answered %q and %q", first.Body, second.Body)
	}
	if got := w.events(t); !slices.Equal(got, []string{"message.created run 1"}) {
		t.Errorf("events %q", got)
	}
}

func TestARepeatedBodyCountsOnlyWhileTheFirstIsUnanswered(t *testing.T) {
	w := newWorld(t, echo)
	w.deliver(t, "hello") // the answer never reaches the network: the host was killed, say
	w.deliver(t, "hello").Answered()
	if got := w.events(t); len(got) != 1 {
		t.Fatalf("the repeat made %q", got)
	}
	fresh := newWorld(t, echo)
	fresh.deliverAnswered(t, "hello")
	fresh.deliver(t, "hello")
	if got := fresh.events(t); len(got) != 2 {
		t.Errorf("a genuine repeat after a clean answer made %q", got)
	}
}

// TestConcurrentDeliveriesAreSerialisable has each delivery read a counter and write it
// back plus one: a lost update would show.
func TestConcurrentDeliveriesAreSerialisable(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		n, _ := strconv.Atoi(ask[contract.KVGetResult](g, contract.HostKVGet, &contract.KVGet{Key: "n"}).Value)
		ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "n", Value: strconv.Itoa(n + 1)})
		return contract.Marshal(said("chat", strconv.Itoa(n+1))), nil
	})
	const deliveries = 64
	var group sync.WaitGroup
	for i := range deliveries {
		group.Go(func() {
			if answer := w.deliver(t, strconv.Itoa(i)); answer.Status != 200 {
				t.Errorf("delivery %d was answered %d", i, answer.Status)
			}
		})
	}
	group.Wait()
	want := make([]string, deliveries)
	for i := range want {
		want[i] = fmt.Sprint("message.created ", i+1)
	}
	if got := w.events(t); !slices.Equal(got, want) {
		t.Errorf("events %q", got)
	}
}

// TestAListingIsProtectedAgainstPhantoms has each delivery open a conversation unless a
// listing shows one.
func TestAListingIsProtectedAgainstPhantoms(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		listing := ask[contract.KVListResult](g, contract.HostKVList, &contract.KVList{Prefix: "open/"})
		if len(listing.Entries) == 0 {
			ask[contract.Done](g, contract.HostKVPut, &contract.KVPut{Key: "open/" + body(g), Value: "x"})
			return contract.Marshal(said("chat", "opened")), nil
		}
		return contract.Marshal(&contract.ReceiveOutput{Response: contract.Response{Status: 200}}), nil
	})
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() { w.deliver(t, strconv.Itoa(i)) })
	}
	group.Wait()
	if got := w.events(t); len(got) != 1 {
		t.Errorf("%d conversations were made out of one", len(got))
	}
}

func TestTheThumbnailPlaceholderIsFilledForTheOwnWorkspaceOnly(t *testing.T) {
	w := newWorld(t, func(_ context.Context, g *call) ([]byte, error) {
		return contract.Marshal(&contract.ReceiveOutput{Response: contract.Response{Status: 200, Body: body(g),
			Headers: []contract.Header{{Name: "Content-Type", Value: "application/json"}}}}), nil
	})
	for _, m := range []domain.Media{
		{Handle: "med_mine", Workspace: "wsp_1", SHA256: "aa"}, {Handle: "med_theirs", Workspace: "wsp_2", SHA256: "bb"},
	} {
		if err := w.store.PutMedia(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	answer := w.deliver(t, `{"a":"{{media_base64:med_mine}}","b":"{{media_base64:med_theirs}}","c":"{{media_base64:none}}","d":"{{media_base64:}}"}`)
	if got, want := string(answer.Body), `{"a":"small-aa","b":"","c":"","d":""}`; got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
}

func TestFailuresAreNamedInBoundedLength(t *testing.T) {
	w := newWorld(t, func(context.Context, *call) ([]byte, error) {
		return nil, &sandbox.GuestError{Message: strings.Repeat("a", 1<<20)}
	})
	kept, err := w.store.Delivery(t.Context(), w.deliver(t, "x").Delivery)
	if err != nil || len(kept.Reason) > 3000 {
		t.Errorf("the reason has %d bytes, %v", len(kept.Reason), err)
	}
}
