package bridges_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/bridges"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// wantStopped checks whether the only link of a bridge is stopped, and whether the
// operator was told of it once.
func (w *world) wantStopped(id domain.BridgeID, stopped bool) {
	w.Helper()
	link := w.links(id)[0]
	told := 0
	for _, kind := range w.notices() {
		if kind == domain.NoticeBridgeLoop {
			told++
		}
	}
	if (link.State == domain.LinkStopped) != stopped || (link.StateReason != "") != stopped || (told == 1) != stopped {
		w.Errorf("the link is %s (%s), and the operator was told %d times; want stopped %t", link.State, link.StateReason, told, stopped)
	}
}

// A platform that reports what we send as a new message, under a name of its own, does so
// for every message, and for as long as the conversation lasts.
func TestAnEchoUnderAnotherNameIsLeftOut(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	for i := range 3 * bridges.MaxSigns {
		w.writes(shop, chat, contract.RoleCustomer, fmt.Sprint("Question ", i))
		w.carry()
		w.deliver()
		w.writes(desk, chat, contract.RoleCustomer, fmt.Sprintf("  QUESTION\u200b %d \n", i)) // the echo
		w.writes(desk, chat, contract.RoleAgent, fmt.Sprint("Answer ", i))
		w.carry()
		w.want(w.deliver(), fmt.Sprint("shop/chat-1 agent: Answer ", i))
		w.writes(shop, chat, contract.RoleBot, fmt.Sprint("Answer ", i)) // it takes our agent for a bot
		w.carry()
		w.want(w.deliver())
	}
	if got := w.status(b.ID).Progress.Counts; got.Echoes != 6*bridges.MaxSigns {
		t.Errorf("counted %+v, want %d echoes", got, 6*bridges.MaxSigns)
	}
	w.wantStopped(b.ID, false)
}

// Somebody who says "ok" again and again is echoed as often, and nothing is wrong with it.
func TestWhatIsSaidOftenIsEchoedOften(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	const times = 2 * bridges.MaxSigns
	for range times {
		w.writes(shop, chat, contract.RoleCustomer, "ok")
	}
	w.carry()
	if got := len(w.deliver()); got != times {
		t.Errorf("%d of %d went over", got, times)
	}
	for range times {
		w.writes(desk, chat, contract.RoleCustomer, "ok")
	}
	w.carry()
	w.want(w.deliver())
	w.wantStopped(b.ID, false)
}

func TestWhatIsNoEcho(t *testing.T) {
	for _, tt := range []struct {
		name string
		role contract.Role
		text string
		wait time.Duration
		echo bool
	}{
		{"the same from the same side of the counter", contract.RoleBot, "hello", 0, true},
		{"the same, a customer's own", contract.RoleCustomer, "Hello", 0, false},
		{"something else", contract.RoleAgent, "Hello?", 0, false},
		{"the same, at the end of the window", contract.RoleAgent, "Hello", bridges.EchoWindow, true},
		{"the same, long after", contract.RoleAgent, "Hello", bridges.EchoWindow + time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.writes(shop, chat, contract.RoleCustomer, "known")
			b := w.bridge(shop, desk)
			w.writes(desk, chat, contract.RoleAgent, "Hello")
			w.carry()
			w.deliver()
			w.pass(tt.wait)
			w.writes(shop, chat, tt.role, tt.text)
			w.carry()
			if got := w.deliver(); (len(got) == 0) != tt.echo || (w.status(b.ID).Progress.Counts.Echoes == 1) != tt.echo {
				t.Errorf("carried %q; want it taken for an echo: %t", got, tt.echo)
			}
		})
	}
}

// What waits in its lane for an hour may be echoed when it is sent at last, and also
// before the host knows that it was sent.
func TestAnEchoOfWhatWasSentLate(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.pass(time.Hour)
	w.writes(desk, chat, contract.RoleCustomer, "Hello")
	w.carry()
	if got := w.deliver(); len(got) != 1 || w.status(b.ID).Progress.Counts.Echoes != 1 {
		t.Errorf("arrived %q, counts %+v", got, w.status(b.ID).Progress.Counts)
	}
}

func TestAttachmentsAreComparedByTheirBytes(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	for handle, sum := range map[contract.MediaHandle]string{"med_1": "same", "med_2": "same", "med_3": "other"} {
		w.ok(w.store.PutMedia(t.Context(), domain.Media{Handle: handle, Workspace: ws, SHA256: sum}))
	}
	picture := func(c contract.ConnectionID, name string, h contract.MediaHandle) {
		e := created(contract.PlatformMessageID(name), chat, contract.RoleCustomer, "look")
		e.Message.Parts = append(e.Message.Parts, contract.Part{Kind: contract.PartMedia, Media: &contract.Media{Kind: contract.MediaImage, Handle: h}})
		w.receive(c, e)
		w.carry()
	}
	picture(shop, "a", "med_1")
	w.want(w.deliver(), "desk/chat-1 customer: look <med_1>")
	picture(desk, "b", "med_2")
	picture(desk, "c", "med_3")
	w.want(w.deliver(), "shop/chat-1 customer: look <med_3>")
	if got := w.status(b.ID).Progress.Counts.Echoes; got != 1 {
		t.Errorf("%d echoes, want 1", got)
	}
}

func TestEchoesOfEchoesStopTheLink(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	hello := w.writes(shop, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.deliver()
	for range bridges.MaxSigns {
		w.writes(desk, chat, contract.RoleCustomer, "Hello")
		w.carry()
	}
	w.wantStopped(b.ID, false)
	w.writes(desk, chat, contract.RoleCustomer, "Hello")
	w.carry()
	w.wantStopped(b.ID, true)

	w.writes(shop, chat, contract.RoleCustomer, "Still there?")
	w.receive(shop, contract.Event{Kind: contract.EventTyping, Conversation: &contract.Conversation{ID: chat},
		Typing: &contract.Typing{Author: contract.Author{Role: contract.RoleCustomer}, On: true}})
	edited := created(hello, chat, contract.RoleCustomer, "Hello, edited")
	edited.Kind = contract.EventMessageUpdated
	w.receive(shop, edited)
	w.writes(shop, "chat-2", contract.RoleCustomer, "Other conversations go on")
	w.carry()
	w.want(w.deliver(), "desk/chat-2 customer: Other conversations go on")

	active := domain.BridgeActive
	w.update(b.ID, bridges.Patch{State: &active})
	w.writes(shop, chat, contract.RoleCustomer, "Again")
	w.carry()
	w.want(w.deliver(), "desk/chat-1 customer: Again")
}

// Two programs that repeat what they are told: no message is an echo, for each comes from
// the other side of the counter.
func TestTwoParrotsAreStopped(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	w.writes(shop, chat, contract.RoleCustomer, "Polly wants a cracker")
	rounds := 0
	for ; rounds < 1000; rounds++ {
		w.carry()
		arrived := w.deliver()
		if len(arrived) == 0 {
			break
		}
		for _, line := range arrived {
			if strings.HasPrefix(line, "desk/") {
				w.writes(desk, chat, contract.RoleBot, "Polly wants a cracker")
			} else {
				w.writes(shop, chat, contract.RoleCustomer, "Polly wants a cracker")
			}
		}
		w.pass(5 * time.Second)
	}
	if rounds > 2*bridges.MaxRepeats {
		t.Errorf("it took %d rounds to notice", rounds)
	}
	w.wantStopped(b.ID, true)
}

// Shop and desk, desk and robot are bridged, and somebody outside copies what the robot is
// told into the shop: a loop of three that no single bridge can see.
func TestALoopOfThreeIsStopped(t *testing.T) {
	w := newWorld(t)
	w.bridge(shop, desk)
	w.bridge(desk, robo)
	w.writes(shop, chat, contract.RoleCustomer, "Round and round")
	carried := 0
	for ; carried < 1000; carried++ {
		w.carry()
		arrived := w.deliver()
		if len(arrived) == 0 {
			break
		}
		for _, line := range arrived {
			switch {
			case strings.HasPrefix(line, "desk/"): // the desk's platform reports what comes in, whoever sent it
				w.writes(desk, chat, contract.RoleCustomer, "Round and round")
			case strings.HasPrefix(line, "bot/"):
				w.writes(shop, chat, contract.RoleCustomer, "Round and round")
			}
		}
		w.pass(time.Second)
	}
	if carried > 3*bridges.MaxRepeats {
		t.Errorf("it went round for %d steps", carried)
	}
	if !slices.Contains(w.notices(), domain.NoticeBridgeLoop) {
		t.Errorf("notices %v", w.notices())
	}
}

// Every platform of a chain reports what we send to it as new, so that each next bridge
// carries it on, up to a bound.
func TestAChainOfBridgesHasABound(t *testing.T) {
	w := newWorld(t)
	chain := []contract.ConnectionID{shop}
	for i := range bridges.MaxHops + 2 {
		name := fmt.Sprint("link", i)
		id := contract.ConnectionID("con_" + name)
		w.exports[name] = all()
		w.ok(w.store.CreateConnection(t.Context(), domain.Connection{ID: id, Workspace: ws, Plugin: name, Endpoint: name}, nil))
		w.bridge(chain[i], id)
		chain = append(chain, id)
	}
	w.writes(shop, chat, contract.RoleCustomer, "Pass it on")
	var reached []string
	for range chain {
		w.carry()
		for _, line := range w.deliver() {
			reached = append(reached, line[:strings.Index(line, "/")])
			w.writes(contract.ConnectionID("con_"+reached[len(reached)-1]), chat, contract.RoleCustomer, "Pass it on")
		}
	}
	if want := []string{"link0", "link1", "link2", "link3"}; !slices.Equal(reached, want) {
		t.Errorf("it reached %q, want %q", reached, want)
	}
}

func TestAFloodIsDelayedAndThenStopped(t *testing.T) {
	w := newWorld(t)
	b := w.bridge(shop, desk)
	flood := func(n int) {
		for i := range n {
			w.writes(shop, chat, contract.RoleCustomer, fmt.Sprint("Message ", w.n, i))
		}
		w.carry()
	}
	flood(bridges.Burst + 2)
	if now := len(w.deliver()); now != bridges.Burst {
		t.Errorf("%d messages went out at once, want %d", now, bridges.Burst)
	}
	w.pass(bridges.Interval)
	if now := len(w.deliver()); now != 1 {
		t.Errorf("%d messages went out in the next interval", now)
	}
	w.wantStopped(b.ID, false)
	flood(int(bridges.MaxDelay / bridges.Interval))
	w.wantStopped(b.ID, true)
}

func FuzzNormalisingTwiceChangesNothing(f *testing.F) {
	for _, text := range []string{"", "Hello", "  HELLO\u200b \n there ", "İ", "\xff", "👍\ufe0f", "ﬀ ß"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := bridges.Normal(text)
		if again := bridges.Normal(once); again != once {
			t.Errorf("Normal(%q) = %q, and of that %q", text, once, again)
		}
		if padded := bridges.Normal(" " + text + "\u200b\n"); padded != once && !strings.HasSuffix(text, "\xff") {
			t.Errorf("Normal tells %q from %q", padded, once)
		}
	})
}
