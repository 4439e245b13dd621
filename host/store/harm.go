package store

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// maxHarms is how many different damages the operator is told of. More of them are told by
// the first ones.
const maxHarms = 20

// harm remembers which damages the operator has been told of.
type harm struct {
	mu   sync.Mutex
	told map[string]bool
}

// isNews tells whether a damage is to be told, which it is once.
func (h *harm) isNews(what string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.told[what] || len(h.told) >= maxHarms {
		return false
	}
	if h.told == nil {
		h.told = map[string]bool{}
	}
	h.told[what] = true
	return true
}

// tellDamage tells the operator of a damaged record, once.
func (s *Store) tellDamage(damage *DamagedError) {
	s.tell(damage.Bucket+" "+string(damage.Key), damage.Error())
}

// broken turns a panic, as bbolt raises it for a page that makes no sense, or a fault, as
// the kernel raises it for one that cannot be read, into an error, and tells the operator.
func (s *Store) broken(what string, p any) error {
	s.tell(fmt.Sprint(p), fmt.Sprintf("%s of the store failed: %v; run `patchbay doctor` to see whether its file is damaged", what, p),
		"stack", string(debug.Stack()))
	return fmt.Errorf("%w: %s panicked, and changed nothing: %v; run `patchbay doctor` to see whether the file is damaged, and restore a backup if it is",
		domain.ErrUnavailable, what, p)
}

// tell logs something and keeps a notice of it, once.
func (s *Store) tell(subject, detail string, more ...any) {
	if !s.harm.isNews(subject) {
		return
	}
	s.opts.Log.Error("the store is damaged", append([]any{"subject", subject, "detail", detail}, more...)...)
	s.aside.add(func(a *aside) bool {
		a.notices = append(a.notices, domain.Notice{At: s.opts.Now(), Kind: domain.NoticeDamage, Target: printable(subject), Detail: detail})
		return true
	})
}

// printable quotes a key for people, as far as it is not text.
func printable(key string) string {
	quoted := fmt.Sprintf("%q", key)
	return quoted[1 : len(quoted)-1]
}
