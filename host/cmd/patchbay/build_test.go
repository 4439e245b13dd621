package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressTurnsWhileAPersonWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen strings.Builder
		s := &session{stderr: &screen, terminal: true}
		p := s.startProgress()
		p.step("compiling")
		<-time.After(250 * time.Millisecond)
		p.step("packing")
		p.stop()
		want := []string{"⠋ compiling", "⠙ compiling", "⠹ compiling", "⠸ packing", ""}
		if got := strings.Split(screen.String(), "\r\x1b[K")[1:]; strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("the line turned %q, want %q", got, want)
		}
	})
}

func TestProgressIsSilentWithoutAPerson(t *testing.T) {
	var screen strings.Builder
	p := (&session{stderr: &screen}).startProgress()
	p.step("compiling")
	p.stop()
	if screen.Len() > 0 {
		t.Errorf("wrote %q, want nothing", screen.String())
	}
}
