package e2e

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// impatient makes a connection repeat messages after one second.
func impatient(policy string) map[string]string {
	return map[string]string{"outcome_policy": policy, "outcome_timeout_seconds": "1", "retry_delays_seconds": "1,1,1"}
}

// posts returns the ids of the messages that the platform was posted, in order, with the
// statuses it answered.
func (s *scene) posts() (log []string) {
	for _, e := range s.platform.Exchanges() {
		if e.Way == emulator.FromMessenger && e.Type == "message" {
			log = append(log, fmt.Sprint(e.MessageID, " ", e.Status))
		}
	}
	return log
}

func TestELMA365AnOutcomeMayComeBeforeTheAnswer(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, impatient("require"))
	hold := make(chan struct{})
	platform.Script(emulator.Step{Type: "message", OutcomeFirst: true, Hold: hold})
	id := s.send("chat-1", "early")
	outcome, err := platform.Wait(within(t), emulator.Of(emulator.ToMessenger, "messageOutcome"))
	if err != nil || outcome.Status != 200 {
		t.Fatalf("the early outcome was answered %d, %v", outcome.Status, err)
	}
	close(hold)
	s.await("its delivery", stage.Status(id, contract.MessageDelivered))
	s.arrived(s.send("chat-1", "next")) // waits for the 200 of the one before
	if m := s.arrived(id); m.Posts != 1 {
		t.Errorf("the message was posted %d times", m.Posts)
	}
	kept, err := s.people.Tenant.Message(within(t), s.workspace.ID, id)
	if err != nil || kept.Status != contract.MessageDelivered {
		t.Errorf("the message is %v, %v", kept.Status, err)
	}
}

func TestELMA365ABadOutcomeRepeatsTheSameMessage(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, impatient("auto"))
	platform.Script(emulator.Step{Type: "message", Outcome: emulator.OutcomeFailure})
	id := s.send("chat-1", "again")
	s.await("its delivery", stage.Status(id, contract.MessageDelivered))
	if m := s.arrived(id); m.Posts != 2 {
		t.Errorf("the message was posted %d times, want 2 with the same id", m.Posts)
	}
}

func TestELMA365NoOutcomeAtAllRepeatsUntilItGivesUp(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, impatient("require"))
	platform.Otherwise(emulator.Step{Outcome: emulator.OutcomeNone})
	id := s.send("chat-1", "anybody?")
	event := s.await("its failure", stage.Status(id, contract.MessageFailed))
	if f := event.Data.Status.Failure; f == nil || f.Code == "" {
		t.Errorf("the failure is %+v", f)
	}
	if m := s.arrived(id); m.Posts != 4 {
		t.Errorf("the message was posted %d times, want once and 3 repeats", m.Posts)
	}
}

func TestELMA365WithoutOutcomesA200IsFinal(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, impatient("auto"))
	platform.Otherwise(emulator.Step{Outcome: emulator.OutcomeNone})
	id := s.send("chat-1", "fine")
	s.await("that it was sent", stage.Status(id, contract.MessageSent))
	jobs, err := s.people.Tenant.Commands(within(t), s.workspace.ID, client.CommandFilter{State: domain.JobQueued})
	if err != nil || len(jobs.Items) != 0 {
		t.Errorf("queued: %+v, %v", jobs.Items, err)
	}
}

func TestELMA365AFailingPlatformDelaysAndNeverReorders(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	platform.Script(emulator.Step{Type: "message", Status: 500, Times: 2}, emulator.Step{Type: "message", HangUp: true})
	var want []string
	for i := range 5 {
		want = append(want, string(s.send("chat-1", fmt.Sprint("message ", i))))
	}
	s.arrived(contract.MessageID(want[4]))
	var got []string
	for _, session := range s.channel.Sessions() {
		for _, m := range session.Messages {
			got = append(got, m.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the operator has %q, want %q; posted %q", got, want, s.posts())
	}
}

func TestELMA365OneFailingConversationDoesNotHoldUpAnother(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	hold := make(chan struct{})
	platform.Script(emulator.Step{Type: "message", Hold: hold})
	slow := s.send("chat-slow", "slow")
	if _, err := s.channel.WaitMessage(within(t), func(m emulator.Message) bool { return m.ID == string(slow) }); err != nil {
		t.Fatal(err)
	}
	quick := s.send("chat-quick", "quick")
	s.await("the other conversation's delivery", stage.Status(quick, contract.MessageDelivered))
	close(hold)
	s.await("the slow one's delivery", stage.Status(slow, contract.MessageDelivered))
}

func TestELMA365ARefusedTokenStopsTheConnectionAndSaysWhatToDo(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	s.channel.SetCode("somebody changed it")
	id := s.send("chat-1", "hi")
	event := s.await("the connection's state", stage.State(s.connection.ID, contract.StateNeedsAction))
	if event.Data.State.Action == "" {
		t.Errorf("the state says nothing to do: %+v", event.Data.State)
	}
	s.await("the message's failure", stage.Status(id, contract.MessageFailed))
}

func TestELMA365AChannelThatIsGoneDisconnects(t *testing.T) {
	platform := emulate(t, emulator.Options{})
	s := set(t, platform, nil)
	platform.Script(emulator.Step{Type: "message", Status: 404})
	s.send("chat-1", "hi")
	s.await("the connection's state", stage.State(s.connection.ID, contract.StateDisconnected))
}

func TestELMA365ARotatedTokenOverlaps(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	old, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.people.Tenant.RotateSecret(within(t), s.workspace.ID, s.connection.ID, "token", "", 3600e9); err != nil {
		t.Fatal(err)
	}
	fresh, err := s.people.Messenger(within(t), s.workspace.ID, s.connection.ID)
	if err != nil || fresh.Code == old.Code {
		t.Fatalf("the token is still %q, %v", fresh.Code, err)
	}
	s.reply("chat-1", "with the old token", 200)
	s.channel.SetCode(fresh.Code)
	s.reply("chat-1", "with the new token", 200)
	s.arrived(s.send("chat-1", "out with the new one"))
	if err := s.people.Tenant.RotateSecret(within(t), s.workspace.ID, s.connection.ID, "token", "", 0); err != nil {
		t.Fatal(err)
	}
	s.reply("chat-1", "too late", 401)
}
