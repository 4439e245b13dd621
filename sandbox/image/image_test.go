package image

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pattern is content with pages of zeros, and pages that differ from one another.
func pattern(pages int) []byte {
	data := make([]byte, pages*PageBytes)
	for p := 0; p < pages; p += 2 {
		for i := range PageBytes {
			data[p*PageBytes+i] = byte(p + i%7 + 1)
		}
	}
	return data
}

func newMemory(tb testing.TB, data []byte, how Tracking, most int) (*Image, *Memory) {
	tb.Helper()
	img, err := New(data, how)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := img.NewMemory(most)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		m.Free()
		if err := img.Close(); err != nil {
			tb.Error(err)
		}
	})
	if got := m.Reallocate(uint64(len(data))); !bytes.Equal(got, data) {
		tb.Fatal("new memory is not as the image is")
	}
	return img, m
}

// eachTracking runs a test with every way that this system has, and fails where it has
// less than the build says it should.
func eachTracking(t *testing.T, run func(t *testing.T, how Tracking)) {
	for _, how := range Available() {
		t.Run(how.String(), func(t *testing.T) { run(t, how) })
	}
	if err := canScan(); err != nil {
		t.Logf("NOT TESTED here: pagemap-scan: %v", err)
	}
}

// TestRestoreUndoesAnyWrite is the property that isolation rests on.
func TestRestoreUndoesAnyWrite(t *testing.T) {
	eachTracking(t, func(t *testing.T, how Tracking) {
		const pages = 300
		data := pattern(pages)
		_, m := newMemory(t, data, how, 2*len(data))
		rapid.Check(t, func(t *rapid.T) {
			for range rapid.IntRange(1, 5).Draw(t, "rounds") {
				view := m.Content()
				for range rapid.IntRange(0, 40).Draw(t, "writes") {
					at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
					n := min(rapid.IntRange(1, 3*PageBytes).Draw(t, "length"), len(data)-at)
					copy(view[at:at+n], bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n))
				}
				if err := m.Restore(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(view, data) {
					t.Fatal("what was written is still there")
				}
				if rapid.Bool().Draw(t, "trim") {
					if err := m.Trim(); err != nil || !bytes.Equal(view, data) || m.Private() != 0 {
						t.Fatalf("Trim: %v, %d bytes private", err, m.Private())
					}
				}
			}
		})
	})
}

func TestMemoriesOfOneImageDoNotShareWhatTheyWrite(t *testing.T) {
	eachTracking(t, func(t *testing.T, how Tracking) {
		data := pattern(8)
		img, one := newMemory(t, data, how, len(data))
		two, err := img.NewMemory(len(data))
		if err != nil {
			t.Fatal(err)
		}
		defer two.Free()
		copy(one.Reallocate(uint64(len(data))), "secret")
		if got := two.Reallocate(uint64(len(data))); !bytes.Equal(got, data) {
			t.Error("the second memory has what the first one wrote")
		}
	})
}

// TestPrivateCountsWhatWasWritten holds the figure by which the pool counts.
func TestPrivateCountsWhatWasWritten(t *testing.T) {
	if canScan() != nil {
		t.Skip("only the kernel knows")
	}
	data := pattern(1000)
	_, m := newMemory(t, data, Scan, len(data))
	for _, page := range []int{3, 4, 200, 999} {
		m.Content()[page*PageBytes] = 'x'
	}
	if err := m.Restore(); err != nil || m.Private() != 4*PageBytes {
		t.Errorf("%d bytes are private after writes to 4 pages: %v", m.Private(), err)
	}
	if err := m.Trim(); err != nil {
		t.Fatal(err)
	}
	if err := m.Restore(); err != nil || m.Private() != 0 {
		t.Errorf("%d bytes are private after Trim: %v", m.Private(), err)
	}
}

func TestMemoryThatGrewCannotBeRestored(t *testing.T) {
	eachTracking(t, func(t *testing.T, how Tracking) {
		data := pattern(4)
		_, m := newMemory(t, data, how, 2*len(data))
		grown := m.Reallocate(uint64(2 * len(data)))
		if !bytes.Equal(grown[len(data):], make([]byte, len(data))) {
			t.Error("what it grew by is not zero")
		}
		if m.Reallocate(uint64(2*len(data)+1)) != nil {
			t.Error("it grew beyond its bound")
		}
		if !m.Grown() || m.Restore() == nil {
			t.Error("it was restored")
		}
	})
}

func TestAGuardIsAskedBeforeMemoryGrows(t *testing.T) {
	m, err := NewBlank(10 * PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	var asked []int
	m.Guard(func(n int) bool { asked = append(asked, n); return n <= PageBytes })
	if m.Reallocate(PageBytes) == nil || m.Reallocate(3*PageBytes) != nil || m.Bytes() != PageBytes {
		t.Errorf("it is %d bytes long", m.Bytes())
	}
	if fmt.Sprint(asked) != "[4096 8192]" {
		t.Errorf("asked for %v", asked)
	}
}

func TestAnImageOutlivesItsCloseUntilItsMemoryIsFree(t *testing.T) {
	data := pattern(4)
	img, err := New(data, Best)
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.NewMemory(len(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	view := m.Reallocate(uint64(len(data)))
	view[0] = 'x'
	if err := m.Restore(); err != nil || !bytes.Equal(view, data) {
		t.Errorf("Restore after Close: %v", err)
	}
	if _, err := img.NewMemory(len(data)); err == nil {
		t.Error("a closed image gave memory")
	}
	m.Free()
	m.Free()
}

func TestNewRefusesWhatIsNoImage(t *testing.T) {
	if _, err := New(make([]byte, 5), Best); err == nil {
		t.Error("5 bytes were frozen")
	}
	if err := canScan(); err != nil {
		if _, err := New(nil, Scan); !errors.Is(err, ErrNoScan) {
			t.Errorf("got %v", err)
		}
	}
	img, m := newMemory(t, nil, Best, 0)
	if err := m.Restore(); err != nil || img.Bytes() != 0 {
		t.Errorf("an empty image: %v", err)
	}
}

// BenchmarkRestore is what a call costs after it, by pages written of 1,000.
func BenchmarkRestore(b *testing.B) {
	for _, how := range Available() {
		for _, written := range []int{0, 10, 35, 300} {
			b.Run(fmt.Sprintf("%s/pages=%d", how, written), func(b *testing.B) {
				data := pattern(1000)
				_, m := newMemory(b, data, how, len(data))
				for b.Loop() {
					for p := range written {
						m.Content()[p*3*PageBytes]++
					}
					if err := m.Restore(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
