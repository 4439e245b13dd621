package storetest

import (
	"errors"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// tokens is a token set of connection a.
func (f *fixture) tokens(version uint64) domain.TokenSet {
	return domain.TokenSet{Owner: conA, Workspace: wsA, Version: version, Sealed: []byte("sealed"), ObtainedAt: f.at}
}

// refreshing is a command that renews the token set of connection a.
func (f *fixture) refreshing() domain.NewCommand {
	return domain.NewCommand{Workspace: wsA, Connection: conA, At: f.at,
		Command: domain.Command{Export: contract.ExportRefreshCredentials, By: "host", Refresh: &domain.Refresh{Reason: contract.RefreshDue}}}
}

var tokenClaims = []claim{
	{"a version follows the one before, or nothing is kept", func(t *testing.T, f *fixture) {
		_, err := f.Tokens(t.Context(), conA)
		f.fails("none", err, domain.ErrNotFound)
		f.fails("a second version first", f.PutTokens(t.Context(), f.tokens(2)), domain.ErrConflict)
		f.ok(f.PutTokens(t.Context(), f.tokens(1)))
		f.fails("a version twice", f.PutTokens(t.Context(), f.tokens(1)), domain.ErrConflict)
		f.ok(f.PutTokens(t.Context(), f.tokens(2)))
		if kept, err := f.Tokens(t.Context(), conA); err != nil || kept.Version != 2 || string(kept.Sealed) != "sealed" {
			t.Errorf("kept %+v, %v", kept, err)
		}
		stranger := f.tokens(3)
		stranger.Workspace = wsB
		f.fails("of another workspace", f.PutTokens(t.Context(), stranger), domain.ErrNotFound)
	}},
	{"a delivery brings tokens with all else or with nothing", func(t *testing.T, f *fixture) {
		e := f.delivery(conA, f.text(chat, "m1", "installed"))
		e.Tokens = new(f.tokens(2))
		_, err := f.CommitDelivery(t.Context(), e)
		f.fails("a version that does not follow", err, domain.ErrConflict)
		if len(f.events(wsA)) > 0 {
			t.Error("its event is there")
		}
		e.Tokens = new(f.tokens(1))
		f.commit(e)
		if kept, err := f.Tokens(t.Context(), conA); err != nil || kept.Version != 1 || len(f.events(wsA)) != 1 {
			t.Errorf("kept %+v, %v with %d events", kept, err, len(f.events(wsA)))
		}
	}},
	{"what is known of tokens is changed whole, and begins where there are none", func(t *testing.T, f *fixture) {
		after, err := f.UpdateTokens(t.Context(), wsA, conA, func(s *domain.TokenSet) error {
			s.Failures, s.Version, s.Owner = 3, 7, conB
			return nil
		})
		if f.ok(err); after.Failures != 3 || after.Held() || after.Owner != conA {
			t.Errorf("began as %+v", after)
		}
		f.ok(f.PutTokens(t.Context(), f.tokens(1)))
		refusal := errors.New("no")
		_, err = f.UpdateTokens(t.Context(), wsA, conA, func(s *domain.TokenSet) error {
			s.Failures = 9
			return refusal
		})
		f.fails("refused by its caller", err, refusal)
		if kept, err := f.Tokens(t.Context(), conA); err != nil || kept.Failures != 0 {
			t.Errorf("kept %+v, %v", kept, err)
		}
		_, err = f.UpdateTokens(t.Context(), wsB, conA, func(*domain.TokenSet) error { return nil })
		f.fails("of another workspace", err, domain.ErrNotFound)
	}},
	{"all token sets are found, and go with their connection", func(t *testing.T, f *fixture) {
		f.ok(f.PutTokens(t.Context(), f.tokens(1)))
		other := f.tokens(1)
		other.Owner, other.Workspace = conB, wsB
		f.ok(f.PutTokens(t.Context(), other))
		if owners := f.tokenOwners(); len(owners) != 2 {
			t.Errorf("found %q", owners)
		}
		f.ok(f.DeleteConnection(t.Context(), conA))
		if owners := f.tokenOwners(); len(owners) != 1 || owners[0] != conB {
			t.Errorf("afterwards %q", owners)
		}
	}},
	{"of a token set one refresh is queued at a time", func(t *testing.T, f *fixture) {
		jobs := make([]domain.Job, 16)
		together(len(jobs), func(i int) {
			var err error
			if jobs[i], _, err = f.AcceptRefresh(t.Context(), f.refreshing()); err != nil {
				t.Errorf("AcceptRefresh: %v", err)
			}
		})
		for _, job := range jobs {
			if job.ID != jobs[0].ID || job.Lane != domain.CredentialsLane(conA) {
				t.Errorf("queued %s in %s and %s", jobs[0].ID, job.Lane, job.ID)
			}
		}
		f.run(f.ran(jobs[0], domain.JobCancelled))
		next, created, err := f.AcceptRefresh(t.Context(), f.refreshing())
		if f.ok(err); !created || next.ID == jobs[0].ID {
			t.Errorf("after it ended, %s was queued, %t", next.ID, created)
		}
	}},
	{"a command remembers how often a 401 had it run again", func(t *testing.T, f *fixture) {
		job := f.send(chat, "hi")
		for n := range 2 {
			e := f.ran(job, domain.JobQueued)
			e.Unauthorised, e.CountAttempt = true, false
			if after := f.run(e); after.Job.Command.Unauthorised != n+1 || after.Job.Attempts != 0 {
				t.Errorf("it is %+v after %d attempts", after.Job.Command, after.Job.Attempts)
			}
		}
	}},
}

// tokenOwners lists whose token sets there are.
func (f *fixture) tokenOwners() (owners []contract.ConnectionID) {
	f.t.Helper()
	f.ok(f.TokenOwners(f.t.Context(), func(s domain.TokenSet) error {
		owners = append(owners, s.Owner)
		return nil
	}))
	return owners
}
