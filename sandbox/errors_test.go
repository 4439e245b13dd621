package sandbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"unicode/utf8"
)

func TestClippedTextIsShortAndReadable(t *testing.T) {
	for _, text := range []string{"", "plain", "grüße", "\xff\xff\xff", "日本語日本語", "ab\xff\xfe"} {
		for n := range 12 {
			got := clip(text, n)
			if len(got) > n || !utf8.ValidString(got) {
				t.Errorf("clip(%q, %d) = %q", text, n, got)
			}
			if n >= len(text) && utf8.ValidString(text) && got != text {
				t.Errorf("clip(%q, %d) = %q, want all of it", text, n, got)
			}
		}
	}
}

func TestALimitSaysWhatCameOfIt(t *testing.T) {
	trap := &Trap{Export: "receive", Cause: "unreachable"}
	err := fmt.Errorf("deliver: %w", &LimitError{Limit: "blocks", Allowed: 1, Used: 2, Err: trap})
	var got *Trap
	if !errors.As(err, &got) || got != trap || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not lead to the trap, or to a deadline that was none", err)
	}
	if want := "deliver: limit blocks: 2 wanted, 1 allowed: receive trapped: unreachable"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestAGuestThatDoesNotSurviveAQuotaMetTheQuota(t *testing.T) {
	p := loadProbe(t)
	small := load(t, buildPlugin(t, "testdata/probe"), LoadOptions{HostFunctions: []string{"probe"}, Limits: Limits{BlockBytes: 100}})
	in := Invocation{Export: "fail", Input: make([]byte, 60)}
	var met *LimitError
	if _, err := p.Call(context.Background(), in); errors.As(err, &met) {
		t.Errorf("within the quota: %v", err)
	}
	_, err := small.Call(context.Background(), in)
	var failed *GuestError
	if !errors.As(err, &met) || met.Limit != "block_bytes" || !errors.As(err, &failed) {
		t.Errorf("got %#v, want the quota and the plugin's own error", err)
	}
}
