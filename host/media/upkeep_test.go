package media_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/media"
)

func kept(t *testing.T, f *media.Files, content string) string {
	t.Helper()
	sum, _, _, err := f.Put(t.Context(), strings.NewReader(content), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestWalkSeesEveryFileAndNoUpload(t *testing.T) {
	dir := t.TempDir()
	f, err := media.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{kept(t, f, "one"): 3, kept(t, f, "three"): 5}
	got := map[string]int64{}
	again, err := media.Look(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = again.Walk(t.Context(), func(s media.Stored) error {
		if time.Since(s.PutAt) > time.Hour {
			t.Errorf("%s came at %v", s.Sum, s.PutAt)
		}
		got[s.Sum] = s.SizeBytes
		return nil
	})
	if err != nil || len(got) != 2 || got[kept(t, f, "one")] != 3 || want[kept(t, f, "three")] != 5 {
		t.Errorf("saw %v, want %v, %v", got, want, err)
	}
	stop := errors.New("enough")
	if err := f.Walk(t.Context(), func(media.Stored) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Walk = %v, want the error of visit", err)
	}
	if _, err := media.Look(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Look = %v", err)
	}
}

func TestRemoveTakesOnlyWhatNobodyBroughtSince(t *testing.T) {
	f, err := media.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sum := kept(t, f, "bytes")
	try := func(before time.Time, want bool, why string) {
		t.Helper()
		if gone, err := f.Remove(sum, before); err != nil || gone != want {
			t.Errorf("%s: removed %v, %v", why, gone, err)
		}
	}
	soon := time.Now().Add(time.Hour)
	try(time.Now().Add(-time.Hour), false, "brought since")
	release, other := f.Hold(), f.Hold()
	try(soon, false, "held twice")
	release()
	release() // a second time counts for nothing
	try(soon, false, "held once")
	other()
	try(soon, true, "held no more")
	try(soon, false, "gone already")
	if _, err := f.Open(sum); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v", err)
	}
}

// An upload that finds its bytes there already ends up with a file, whatever is removed
// meanwhile.
func TestAnUploadIsNotRemovedFromUnderIt(t *testing.T) {
	f, err := media.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Second)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 50 {
				sum := kept(t, f, "the same bytes")
				content, err := f.Open(sum)
				if err != nil {
					t.Errorf("right after Put: %v", err)
					return
				}
				_ = content.Close() // only read
			}
		})
	}
	running.Go(func() {
		for range 200 {
			sum := kept(t, f, "the same bytes")
			if gone, err := f.Remove(sum, began); err != nil || gone {
				t.Errorf("removed %v, %v", gone, err)
				return
			}
		}
	})
	running.Wait()
}
