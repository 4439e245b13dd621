package tenant_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/tenant"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// parked sends n messages that fail for good.
func (w *world) parked(t *testing.T, c domain.Connection, n int) {
	t.Helper()
	for i := range n {
		job, _, err := w.Send(t.Context(), boss, w.workspace.ID, c.ID, tenant.Send{Message: contract.Message{
			Conversation: contract.Conversation{ID: "42"}, Author: contract.Author{Role: contract.RoleAgent}, Parts: []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: fmt.Sprint(i)}}}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.store.CommitCommand(t.Context(), domain.CommandEffects{Effects: domain.Effects{Workspace: w.workspace.ID, Connection: c.ID, At: time.Now()},
			JobID: job.ID, State: domain.JobParked, CountAttempt: true, Failure: &contract.Failure{Class: contract.FailurePermanent, Code: "gone"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.jobs.added, w.jobs.forgotten = nil, nil
}

func TestTheDeadLetterIsRetriedPageByPage(t *testing.T) {
	w := newWorld(t)
	w.parked(t, w.connection(t), 5)
	filter, page, rounds := domain.JobFilter{Code: "gone", Workspace: w.rival.ID, State: domain.JobDone}, domain.Page{Limit: 2}, 0
	for {
		rounds++
		done, err := w.RetryParked(t.Context(), boss, w.workspace.ID, filter, page)
		if err != nil || done.Done != done.Matched || len(done.Skipped) > 0 {
			t.Fatalf("RetryParked = %+v, %v", done, err)
		}
		if page.After = done.Next; page.After == "" {
			break
		}
	}
	if rounds != 3 || len(w.jobs.added) != 5 {
		t.Errorf("after %d pages the scheduler knows of %v", rounds, w.jobs.added)
	}
	entries, _, err := w.store.AuditEntries(t.Context(), domain.AuditFilter{Action: "jobs.retried"}, domain.Page{})
	if err != nil || len(entries) != 3 || entries[2].Actor != boss.Subject || entries[2].Detail != "2 of 2" {
		t.Errorf("the audit log says %+v, %v", entries, err)
	}
}

func TestTheDeadLetterIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.parked(t, w.connection(t), 300) // more than one transaction takes
	done, err := w.CancelParked(t.Context(), boss, w.workspace.ID, domain.JobFilter{}, domain.Page{Limit: 1000})
	if err != nil || done.Done != 300 || len(w.jobs.forgotten) != 300 || done.Next != "" {
		t.Errorf("CancelParked = %+v, %v; the scheduler forgot %d", done, err, len(w.jobs.forgotten))
	}
}

func TestTheDeadLetterOfAnotherWorkspaceIsNotTouched(t *testing.T) {
	w := newWorld(t)
	c := w.connection(t)
	w.parked(t, c, 1)
	for _, filter := range []domain.JobFilter{{}, {Connection: c.ID}, {Workspace: w.workspace.ID}} {
		done, err := w.RetryParked(t.Context(), boss, w.rival.ID, filter, domain.Page{})
		if err != nil || done.Matched != 0 {
			t.Errorf("RetryParked(%+v) for another workspace = %+v, %v", filter, done, err)
		}
	}
	if _, err := w.CancelParked(t.Context(), boss, "wsp_nowhere", domain.JobFilter{}, domain.Page{}); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("in a workspace that is not there: %v", err)
	}
}
