package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/plugins/elma365/emulator"
)

// How much goes on in a world: so many conversations of each kind, each with one thing
// after another, no faster than pace.
const (
	conversations = 3
	pace          = 20 * time.Millisecond
	// shopPace is slower: a bridge carries so much at once and no more, lest it be a loop.
	shopPace = 350 * time.Millisecond
	// mediaEvery is which of ELMA365's messages has a file.
	mediaEvery = 6
	// repeatsPercent is how often a delivery is sent several times at once, and how often an
	// old one is sent again.
	repeatsPercent = 15
)

// load is everybody who talks to the host. They go on while it is dead: whatever was not
// acknowledged is tried again until it is.
type load struct {
	*world
	web  *http.Client
	stop chan struct{} // closed: begin nothing new
	busy sync.WaitGroup
	// ctx ends what is not acknowledged in time.
	ctx  context.Context
	quit context.CancelFunc
}

func (w *world) startLoad(ctx context.Context) *load {
	l := &load{world: w, stop: make(chan struct{}), web: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: patience,
	}}
	l.ctx, l.quit = context.WithCancel(ctx)
	for i := range conversations {
		no := strconv.Itoa(i)
		l.goOn("e"+no, pace, func(_ *rand.Rand, series string, n int) { l.reply(series, series, n) })
		l.goOn("d"+no, pace, func(rnd *rand.Rand, series string, n int) {
			l.deliver(rnd, w.ledged, &delivery{Conversation: series, Index: n})
		})
		l.goOn("m"+no, pace, func(_ *rand.Rand, series string, n int) { l.send(w.elma, series, n, 1) })
		l.goOn("s"+no, pace, func(_ *rand.Rand, series string, n int) { l.send(w.ledged, series, n, 3) })
		l.goOn("p"+no, visitPace, l.visit)
		l.goOn("b"+no, shopPace, func(rnd *rand.Rand, series string, n int) {
			l.deliver(rnd, w.shop, &delivery{Conversation: series, Index: n, Bridged: 1}) // to ELMA365, which files it
		})
		l.goOn("r"+no, shopPace, func(_ *rand.Rand, series string, n int) {
			l.until(func() bool { // nobody answers what has not come
				_, begun := w.channel.Session("b" + no)
				return begun
			})
			l.reply(series, "b"+no, n)
		})
	}
	return l
}

// goOn does one thing after another in a series until the load stops.
func (l *load) goOn(series string, pace time.Duration, do func(rnd *rand.Rand, series string, n int)) {
	rnd := rand.New(rand.NewPCG(l.seed, uint64(series[0])<<8|uint64(series[1])))
	l.busy.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
				do(rnd, series, n)
			case <-l.stop:
				return
			case <-l.ctx.Done():
				return
			}
		}
	})
}

// finish begins nothing new, and waits until all that was begun is acknowledged.
func (l *load) finish() {
	close(l.stop)
	timer := time.AfterFunc(patience, l.quit)
	defer timer.Stop()
	l.busy.Wait()
	if l.ctx.Err() != nil {
		l.seen.stuck("something was not acknowledged within %v of the last start", patience)
	}
	l.quit()
	l.web.CloseIdleConnections()
}

// until tries something again and again until it is acknowledged.
func (l *load) until(try func() bool) {
	_ = poll(l.ctx, func() (bool, error) { return try(), nil }) // the context ended: finish says so
}

// reply is an operator's message in ELMA365, which has no name of its own: the same body
// is repeated until it is answered, and the next one follows then.
func (l *load) reply(series, chat string, n int) {
	d := &delivery{Name: series + "-" + strconv.Itoa(n), Conversation: series, Index: n}
	if series != chat {
		d.Bridged = 3 // to the shop, whose plugin takes three steps
	}
	files := []map[string]any{}
	if series == chat && n%mediaEvery == mediaEvery-1 {
		files = append(files, map[string]any{"name": d.Name + ".txt", "size": 9, "URL": l.ledger.server.URL + "/files/" + d.Name})
	}
	envelope := emulator.Envelope{Type: "message", Token: l.code, ChannelID: l.channel.ID(),
		Data: map[string]any{"targetChatId": chat, "text": d.Name, "files": files}}
	l.seen.sends(d)
	l.until(func() bool {
		answer, err := l.channel.Send(l.ctx, envelope)
		return err == nil && l.took(d, answer.Status, string(answer.Body))
	})
}

// took notes the answer to a delivery, and tells whether the platform is done with it.
func (l *load) took(d *delivery, status int, body string) bool {
	switch {
	case status == http.StatusOK:
		l.seen.answered(d, body)
		return true
	case status == http.StatusTooManyRequests || status >= 500:
		return false
	}
	l.seen.refuse("delivery %s was refused with %d, which a platform does not repeat: %s", d.Name, status, body)
	return true
}

// deliver is a delivery of the ledger's, to a connection or to the app, which has a name: it
// may come several times at once, and again long after.
func (l *load) deliver(rnd *rand.Rand, c client.Connection, d *delivery) {
	d.Name, d.Counted = d.Conversation+"-"+strconv.Itoa(d.Index), true
	l.seen.sends(d)
	copies := 1
	if rnd.IntN(100) < repeatsPercent {
		copies += 1 + rnd.IntN(3)
	}
	var all sync.WaitGroup
	for range copies {
		all.Go(func() { l.post(c, d) })
	}
	all.Wait()
	if old := l.seen.old(rnd, d.Conversation); old != nil && rnd.IntN(100) < repeatsPercent {
		l.post(c, old)
	}
}

// old picks a delivery of a series that was acknowledged before; nil if there is none.
func (w *witness) old(rnd *rand.Rand, series string) *delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	var known []*delivery
	for _, d := range w.Deliveries {
		if d.Conversation == series && len(d.Answers) > 0 {
			known = append(known, d)
		}
	}
	if len(known) == 0 {
		return nil
	}
	return known[rnd.IntN(len(known))]
}

// post sends one delivery of the ledger's until it is answered.
func (l *load) post(c client.Connection, d *delivery) {
	body := fmt.Sprintf(`{"id":%q,"conversation":%q,"take":%q}`, d.Name, d.Conversation, d.Take)
	l.until(func() bool {
		req, err := http.NewRequestWithContext(l.ctx, http.MethodPost, c.ReceiveURL, bytes.NewReader([]byte(body)))
		if err != nil {
			return false
		}
		answer, err := l.web.Do(req)
		if err != nil {
			return false
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close() // read to its end, or broken off
		return err == nil && l.took(d, answer.StatusCode, string(text))
	})
}

// send asks for a message to be sent, under a key, until that is acknowledged.
func (l *load) send(c client.Connection, chat string, n, steps int) {
	asked := &command{Name: chat + "-" + strconv.Itoa(n), Conversation: chat, Index: n, Steps: steps}
	message := client.NewMessage{
		Conversation: contract.Conversation{ID: contract.ConversationID(chat), Title: chat}, IdempotencyKey: asked.Name,
		Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: contract.ContactID("person-" + chat)}},
		Parts:  []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: asked.Name}}},
	}
	l.seen.asks(asked)
	l.until(func() bool {
		accepted, err := l.people.Tenant.Send(l.ctx, l.tenantID(), c.ID, message)
		if problem := new(client.Problem); errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests {
			l.seen.refuse("command %s was refused: %v", asked.Name, err)
			return true
		}
		if err == nil {
			l.seen.acknowledged(asked, accepted.Command.ID)
		}
		return err == nil
	})
}
