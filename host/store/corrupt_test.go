package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/store"
)

// harm damages one page of a file and says how.
type harm struct {
	name string
	do   func(rnd *rand.Rand, file []byte, page int)
}

// harms is what happens to files. Each damages the page that begins at that byte.
func harms(pageBytes int) []harm {
	return []harm{
		{"a bit flipped", func(rnd *rand.Rand, file []byte, page int) { file[page+rnd.IntN(pageBytes)] ^= 1 << rnd.IntN(8) }},
		{"a bit of the head flipped", func(rnd *rand.Rand, file []byte, page int) { file[page+rnd.IntN(32)] ^= 1 << rnd.IntN(8) }},
		{"a page zeroed", func(_ *rand.Rand, file []byte, page int) { clear(file[page : page+pageBytes]) }},
		{"a sector zeroed", func(rnd *rand.Rand, file []byte, page int) {
			at := page + rnd.IntN(pageBytes/sectorBytes)*sectorBytes
			clear(file[at : at+sectorBytes])
		}},
		{"a page of noise", func(rnd *rand.Rand, file []byte, page int) {
			for i := range pageBytes {
				file[page+i] = byte(rnd.Uint32())
			}
		}},
		{"another page in its place", func(rnd *rand.Rand, file []byte, page int) {
			other := rnd.IntN(len(file)/pageBytes) * pageBytes
			copy(file[page:page+pageBytes], file[other:other+pageBytes])
		}},
	}
}

// TestADamagedFileNeverLies damages a page of a good file, 300 times. Whatever is asked
// afterwards must be answered as it was, or with an error, or the check of the file or a
// notice must tell that something is wrong; and nothing may end the process.
func TestADamagedFileNeverLies(t *testing.T) {
	d := record(t, 200)
	good := d.image(nil, len(d.writes), false)
	pageBytes := os.Getpagesize()
	all := harms(pageBytes)
	path := filepath.Join(imageFolder(t), "damaged.db")
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	outcomes := map[string]int{}
	for i := range 300 {
		h := all[i%len(all)]
		file, page := slices.Clone(good), d.recent(rnd, pageBytes)
		h.do(rnd, file, page)
		outcome, lies := interrogate(t, path, file, d.promises)
		outcomes[outcome]++
		if len(lies) > 0 {
			t.Fatalf("seed %d, %s (page %d): the file was opened, and then: %q", seed, h.name, page/pageBytes, lies)
		}
	}
	t.Log(outcomes)
	if outcomes["refused"] == 0 || outcomes["found by the check"] == 0 {
		t.Errorf("of 300 damaged files: %v; want some that were refused and some that the check found", outcomes)
	}
}

// recent picks a page that was written of late, so that it is probably in use: most pages
// of a file are those of older transactions.
func (d *disk) recent(rnd *rand.Rand, pageBytes int) int {
	w := d.writes[len(d.writes)-1-rnd.IntN(len(d.writes)/20)]
	return int(w.at) + rnd.IntN(len(w.data)/pageBytes)*pageBytes
}

// interrogate opens a damaged file, asks for everything that was promised, and writes to
// it. It returns how the damage showed, and every answer that was wrong while nothing
// told so.
func interrogate(t *testing.T, path string, file []byte, promised []promise) (outcome string, lies []string) {
	t.Helper()
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path, store.Options{})
	if err != nil {
		if !errors.Is(err, domain.ErrUnavailable) {
			return "refused", []string{"the refusal does not match domain.ErrUnavailable: " + err.Error()}
		}
		return "refused", nil
	}
	defer s.Close() //nolint:errcheck // it may have nothing to close any more
	problems := s.Check(t.Context())
	missing := ask(t, s, promised, &lies)
	conn := domain.Connection{ID: "con_0", Workspace: "wsp_0", Plugin: "acme", Endpoint: "e"}
	_, writeErr := s.CommitDelivery(t.Context(), webhook(s, conn, 1_000_000))
	switch {
	case len(problems) > 0:
		return "found by the check", lies
	case told(t, s):
		return "told of", lies
	case len(missing) > 0:
		return "", append(lies, missing...)
	case writeErr != nil:
		return "refused a write", lies
	}
	return "unharmed", lies
}

// told tells whether the operator was told of damage. The write before has kept notices.
func told(t *testing.T, s *store.Store) bool {
	t.Helper()
	notices, _, err := s.Notices(t.Context(), domain.NoticeFilter{Kind: domain.NoticeDamage}, domain.Page{})
	return err == nil && len(notices) > 0
}

// ask reads everything that was promised. It returns what an error said was not there, and
// adds to lies what was answered wrongly.
func ask(t *testing.T, s *store.Store, promised []promise, lies *[]string) (missing []string) {
	t.Helper()
	for _, p := range promised {
		d, err := s.Delivery(t.Context(), p.id)
		switch {
		case errors.Is(err, domain.ErrNotFound):
			missing = append(missing, fmt.Sprintf("%s is said not to be there, and the check found nothing", p.id))
		case err == nil && string(d.Body) != p.body:
			*lies = append(*lies, fmt.Sprintf("%s has another body, without an error", p.id))
		}
		events, err := s.Events(t.Context(), "wsp_0", p.seq-1, 1)
		if err == nil && (len(events) != 1 || events[0].Delivery != p.id) {
			missing = append(missing, fmt.Sprintf("event %d is not that of %s, and the check found nothing", p.seq, p.id))
		}
	}
	return missing
}
