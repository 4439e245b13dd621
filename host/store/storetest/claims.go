package storetest

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

var onceClaims = []claim{
	{"a key stands for the first id that claimed it", func(t *testing.T, f *fixture) {
		once := domain.Once{Key: "key", RequestHash: "hash"}
		first, err := f.ClaimKey(t.Context(), wsA, once, "con_1", f.at)
		if f.ok(err); first != (domain.Claim{ID: "con_1"}) {
			t.Errorf("the first: %+v", first)
		}
		again, err := f.ClaimKey(t.Context(), wsA, once, "con_2", f.at)
		if f.ok(err); again != first {
			t.Errorf("the second: %+v", again)
		}
		f.ok(f.SettleKey(t.Context(), wsA, "key"))
		f.ok(f.SettleKey(t.Context(), wsA, "key")) // settled already
		settled, err := f.ClaimKey(t.Context(), wsA, once, "con_3", f.at)
		if f.ok(err); settled != (domain.Claim{ID: "con_1", Settled: true}) {
			t.Errorf("settled: %+v", settled)
		}
		_, err = f.ClaimKey(t.Context(), wsA, domain.Once{Key: "key", RequestHash: "another"}, "con_4", f.at)
		f.fails("another request", err, domain.ErrIdempotencyMismatch)
		if other, err := f.ClaimKey(t.Context(), wsB, once, "con_5", f.at); err != nil || other.ID != "con_5" {
			t.Errorf("another workspace: %+v, %v", other, err)
		}
		f.fails("a key that nobody claimed", f.SettleKey(t.Context(), wsB, "none"), domain.ErrNotFound)
	}},
	{"commands and things share the keys of a workspace", func(t *testing.T, f *fixture) {
		n := f.sending(chat, "x")
		n.IdempotencyKey, n.RequestHash = "command", "hash"
		_, _, err := f.AcceptCommand(t.Context(), n)
		f.ok(err)
		_, err = f.ClaimKey(t.Context(), wsA, domain.Once{Key: "command", RequestHash: "hash"}, "con_1", f.at)
		f.fails("a command's key, claimed", err, domain.ErrIdempotencyMismatch)
		_, err = f.ClaimKey(t.Context(), wsA, domain.Once{Key: "thing", RequestHash: "hash of a thing"}, "con_1", f.at)
		f.ok(err)
		n.IdempotencyKey = "thing"
		_, _, err = f.AcceptCommand(t.Context(), n)
		f.fails("a thing's key, for a command", err, domain.ErrIdempotencyMismatch)
	}},
	{"of many who claim a key at once one has its own id", func(t *testing.T, f *fixture) {
		claims := make([]domain.Claim, 32)
		together(len(claims), func(i int) {
			var err error
			claims[i], err = f.ClaimKey(t.Context(), wsA, domain.Once{Key: "key"}, f.NewID("con"), f.at)
			if err != nil {
				t.Errorf("ClaimKey: %v", err)
			}
		})
		for _, c := range claims {
			if c != claims[0] {
				t.Errorf("claimed as %v and %v", c, claims[0])
			}
		}
	}},
	{"connections are counted by workspace", func(t *testing.T, f *fixture) {
		page, _, err := f.Connections(t.Context(), wsA, domain.Page{})
		f.ok(err)
		if n, err := f.CountConnections(t.Context(), wsA); err != nil || n != int64(len(page)) || n == 0 {
			t.Errorf("counted %d, listed %d: %v", n, len(page), err)
		}
		if n, err := f.CountConnections(t.Context(), "wsp_nowhere"); err != nil || n != 0 {
			t.Errorf("of no workspace: %d, %v", n, err)
		}
	}},
}
