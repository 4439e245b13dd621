package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
	"github.com/seed75a60ee1/patchbay/tests/stage"
)

// parked waits until the workspace has that many parked commands.
func (s *scene) parked(n int) (found []client.Command) {
	s.t.Helper()
	s.poll(fmt.Sprint(n, " parked commands"), func() bool {
		page, err := s.people.Tenant.Commands(within(s.t), s.workspace.ID, client.CommandFilter{State: domain.JobParked})
		if err != nil {
			s.t.Fatal(err)
		}
		found = page.Items
		return len(found) == n
	})
	return found
}

func (s *scene) mustCLI(args ...string) string {
	s.t.Helper()
	out, err := s.cli(append(args, "--workspace", string(s.workspace.ID))...)
	if err != nil {
		s.t.Fatalf("patchbay %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestELMA365WhatFailedForGoodIsDecidedAboutInBulk(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	for i := range 3 {
		if _, err := s.people.Tenant.LookupContact(within(t), s.workspace.ID, s.connection.ID, contract.ContactID(fmt.Sprint("nobody-", i))); err != nil {
			t.Fatal(err)
		}
	}
	failed := s.parked(3)
	code := failed[0].Failure.Code
	if out := s.mustCLI("notice", "list", "--kind", string(domain.NoticeJobParked)); strings.Count(out, "cmd_") != 3 {
		t.Errorf("the notices are\n%s", out)
	}
	if out := s.mustCLI("command", "recording", failed[0].ID, "-o", "-"); !strings.Contains(out, "http_send") || !strings.Contains(out, "nobody-") {
		t.Errorf("the recording of %s is\n%.2000s", failed[0].ID, out)
	}
	if out := s.mustCLI("command", "retry", "--code", "another"); !strings.Contains(out, "queued again 0 of 0") {
		t.Errorf("retry of another code: %s", out)
	}
	if out := s.mustCLI("command", "retry", "--code", code, "--export", "lookup_contact"); !strings.Contains(out, "queued again 3 of 3") {
		t.Errorf("retry: %s", out)
	}
	for _, c := range s.parked(3) { // it really asked again
		if c.Attempts != 2 {
			t.Errorf("%s has run %d times, want 2", c.ID, c.Attempts)
		}
	}
	if out := s.mustCLI("command", "cancel", "--all"); !strings.Contains(out, "gave up 3 of 3") {
		t.Errorf("cancel: %s", out)
	}
	s.parked(0)
}

func TestFailedDeliveriesAreReplayedInBulkInOrder(t *testing.T) {
	s := set(t, emulate(t, emulator.Options{}), nil)
	s.arrived(s.send("chat-1", "hi"))
	if _, err := s.people.Reviewer.RevokePlugin(within(t), digest(t, built.elma), "a try"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s.reply("chat-1", fmt.Sprint("kept ", i), 503)
	}
	s.approve(built.elma)
	if out := s.mustCLI("delivery", "replay", "--code", "plugin_revoked"); !strings.Contains(out, "replayed 3 of 3") {
		t.Errorf("replay: %s", out)
	}
	var last uint64
	for i := range 3 {
		event := s.await(fmt.Sprint("reply ", i), stage.Said(fmt.Sprint("kept ", i)))
		var seq uint64
		if _, err := fmt.Sscan(event.Sequence, &seq); err != nil || seq <= last {
			t.Errorf("reply %d has the number %s after %d", i, event.Sequence, last)
		}
		last = seq
	}
}
