package store

import (
	"sync"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// watchers tells who waits for events that there are new ones.
type watchers struct {
	mu    sync.Mutex
	rooms map[contract.WorkspaceID]map[chan struct{}]bool
}

func newWatchers() *watchers {
	return &watchers{rooms: map[contract.WorkspaceID]map[chan struct{}]bool{}}
}

// WatchEvents returns a channel that holds a value whenever events of the workspace have
// been committed since the last one was taken. It is never closed. The caller reads
// [Store.Events] first, then waits; cancel ends the watch and may be called twice.
func (s *Store) WatchEvents(ws contract.WorkspaceID) (news <-chan struct{}, cancel func()) {
	return s.watch.add(ws)
}

func (w *watchers) add(ws contract.WorkspaceID) (<-chan struct{}, func()) {
	news := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rooms[ws] == nil {
		w.rooms[ws] = map[chan struct{}]bool{}
	}
	w.rooms[ws][news] = true
	return news, func() { w.remove(ws, news) }
}

func (w *watchers) remove(ws contract.WorkspaceID, news chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.rooms[ws], news)
	if len(w.rooms[ws]) == 0 {
		delete(w.rooms, ws)
	}
}

func (w *watchers) notify(changed map[contract.WorkspaceID]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ws := range changed {
		for news := range w.rooms[ws] {
			select {
			case news <- struct{}{}:
			default: // it has been told and has not looked yet
			}
		}
	}
}
