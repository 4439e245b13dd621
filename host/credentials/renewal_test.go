package credentials_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/contract/manifest"
)

func TestTokensThatCannotBeTakenReplaceNothing(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		before := r.put(hour())
		_, err := r.Put(ctx, domain.Connection{ID: conn, Workspace: "wsp_1"}, &contract.CredentialsPut{AccessToken: "two\nlines"}, nil, time.Now())
		if contract.HostErrorCode(err) != contract.HostInvalid {
			t.Errorf("Put answered %v", err)
		}
		if version, err := r.Version(ctx, conn); err != nil || version != before.Version {
			t.Errorf("kept is version %d, %v", version, err)
		}
	})
}

// TestTheSameTokensWithAnotherLifeAreNewOnes: some platforms prolong a token instead of giving
// another.
func TestTheSameTokensWithAnotherLifeAreNewOnes(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		first := r.put(hour())
		if again := r.put(hour()); again.Version != first.Version {
			t.Errorf("the very same became version %d", again.Version)
		}
		longer := hour()
		longer.ExpiresAt = longer.ExpiresAt.Add(time.Hour)
		if set := r.put(longer); set.Version != first.Version+1 || !set.ExpiresAt.Equal(longer.ExpiresAt) {
			t.Errorf("kept is %+v", set)
		}
	})
}

// TestARefreshTokenIsUsedBeforeItDies: although the platform may be asked less often for the
// sake of keeping it alive.
func TestARefreshTokenIsUsedBeforeItDies(t *testing.T) {
	running(t, manifest.TokenRule{KeepAliveSeconds: 30 * 24 * 3600}, func(r *room) {
		r.put(contract.CredentialsPut{AccessToken: "access-0", RefreshToken: "refresh-0", RefreshExpiresAt: time.Now().Add(5 * 24 * time.Hour)})
		wait(4*24*time.Hour + time.Minute)
		if all := r.safe.refreshes(); len(all) != 1 || all[0].Reason != contract.RefreshKeepAlive {
			t.Errorf("after four of its five days queued are %+v", all)
		}
	})
}

func TestARefreshIsAskedForAtOnceAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, manifest.TokenRule{})
		r.put(hour())
		wait(2 * time.Hour)
		restarted := &room{t: t, safe: r.safe, m: r.m, Tokens: r.Tokens}
		restarted.Tokens = restarted.keeper()
		stop := restarted.start()
		synctest.Wait()
		if queued := r.safe.queuedOf(conn); len(queued) != 1 {
			t.Errorf("queued are %q", queued)
		}
		stop()
	})
}

func TestOfSeveral401TheFirstCounts(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		r.put(hour())
		_, use, err := r.Access(ctx, r.owner())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 5 {
			if _, _, err := r.Unauthorised(ctx, use, true); err != nil {
				t.Fatal(err)
			}
			wait(time.Second)
		}
		if set, err := r.safe.Tokens(ctx, conn); err != nil || !set.StaleAt.Equal(began) {
			t.Errorf("it is no good since %v, %v, want %v", set.StaleAt, err, began)
		}
	})
}

func TestATokenSetThatAPersonAskedForIsOnItsWay(t *testing.T) {
	running(t, manifest.TokenRule{Obtain: true}, func(r *room) {
		if _, err := r.Ask(ctx, conn, "ann"); err != nil {
			t.Fatal(err)
		}
		if status, err := r.Status(ctx, conn); err != nil || status.State != domain.TokensRenewing {
			t.Errorf("its state is %q, %v", status.State, err)
		}
	})
}

// TestA401IsFollowedByARefreshAtOnceUnlessThatIsTheSecondInARow: a token set that worked was
// revoked, and whoever waits for the next one is not to wait for longer than it takes. One that
// never worked, or was itself got because of a 401, may be refused for another reason.
func TestA401IsFollowedByARefreshAtOnceUnlessThatIsTheSecondInARow(t *testing.T) {
	for _, tt := range []struct {
		name          string
		worked, again bool
		wait          time.Duration
	}{
		{"it worked", true, false, 0},
		{"it never worked", false, false, 10 * time.Second},
		{"it worked, and was got because of a 401", true, true, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			running(t, manifest.TokenRule{}, func(r *room) {
				r.put(hour())
				refuse := func() {
					_, use, err := r.Access(ctx, r.owner())
					if err != nil {
						t.Fatal(err)
					}
					if tt.worked {
						if err := r.Worked(ctx, use); err != nil {
							t.Fatal(err)
						}
					}
					if _, renewing, err := r.Unauthorised(ctx, use, true); err != nil || !renewing {
						t.Fatalf("renewing is %t, %v", renewing, err)
					}
				}
				refuse()
				if tt.again {
					wait(10 * time.Millisecond)
					r.renewed(1, time.Hour)
					refuse()
				}
				if tt.wait > 0 {
					wait(tt.wait - 100*time.Millisecond)
					if early := r.safe.queuedOf(conn); len(early) > 0 {
						t.Errorf("renewed before %v", tt.wait)
					}
					wait(90 * time.Millisecond)
				}
				wait(20 * time.Millisecond)
				if queued, all := r.safe.queuedOf(conn), r.safe.refreshes(); len(queued) != 1 || all[len(all)-1].Reason != contract.RefreshRefused {
					t.Errorf("queued is %q of %+v", queued, all)
				}
			})
		})
	}
}

// TestARefreshThatBringsNoRefreshTokenKeepsTheOneThereIs: most platforms do not rotate it.
func TestARefreshThatBringsNoRefreshTokenKeepsTheOneThereIs(t *testing.T) {
	running(t, manifest.TokenRule{}, func(r *room) {
		first := hour()
		first.RefreshExpiresAt = time.Now().Add(30 * 24 * time.Hour)
		from := r.put(first).Version
		set, err := r.Put(ctx, domain.Connection{ID: conn, Workspace: "wsp_1"},
			&contract.CredentialsPut{AccessToken: "access-1", ExpiresAt: time.Now().Add(time.Hour)}, &from, time.Now())
		if err != nil || !set.CanRefresh || !set.RefreshExpiresAt.Equal(first.RefreshExpiresAt) {
			t.Errorf("kept is %+v, %v", set, err)
		}
		if token, err := r.Refresh(ctx, r.owner()); err != nil || token.Reveal() != "refresh-0" {
			t.Errorf("the refresh token is %q, %v", token.Reveal(), err)
		}
	})
}
