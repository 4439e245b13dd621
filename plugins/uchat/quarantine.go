package main

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// The bounds on what is held: a ring of places, each with one delivery. One that is still
// taken when its turn comes again tells that the ring is full, since all expire alike.
const (
	maxHeld      = 32
	maxHeldBytes = 48 << 10
)

// unpinned deals with a delivery while nobody knows how UChat signs: it is held, and if it
// shows how UChat signs, everything that is held goes out with it, in order.
func (d *delivery) unpinned() (*contract.ReceiveOutput, error) {
	if _, err := payload.Parse(d.body, payload.Limits{MaxBytes: maxBodyBytes}); err != nil {
		return malformed(err), nil
	}
	window, found, err := loadLearning(d.h)
	if err != nil {
		return nil, err
	}
	if !found || d.now.UnixMilli() >= window.until {
		return d.hold()
	}
	fits, err := d.learn(d.h)
	if err != nil {
		return nil, err
	}
	if len(fits) == 1 {
		return d.pin(fits[0])
	}
	if err := d.noteNames(window); err != nil {
		return nil, err
	}
	return d.hold()
}

// pin keeps how UChat signs, and takes what is held and the delivery itself.
func (d *delivery) pin(s scheme) (*contract.ReceiveOutput, error) {
	if err := d.h.KVPut(contract.KVPut{Key: keyPin, Value: s.encode()}); err != nil {
		return nil, err
	}
	if err := d.h.KVDelete(contract.KVDelete{Key: keyLearning}); err != nil {
		return nil, err
	}
	if d.ch.state == channelReady {
		d.enters(connected("It was learned how UChat signs, and is checked from now on: " + s.words() + "."))
	}
	events, err := release(d.h, d.set, &s)
	if err != nil {
		return nil, err
	}
	d.out.Events = append(d.out.Events, events...)
	return d.accept()
}

// noteNames keeps the names of the header fields of a delivery that taught nothing.
func (d *delivery) noteNames(window learning) error {
	known := strings.Split(window.names, ", ")
	for _, name := range d.names() {
		if len(window.names) < 512 && !slices.Contains(known, name) {
			known = append(known, name)
			window.names = strings.TrimPrefix(window.names+", "+name, ", ")
		}
	}
	return d.h.KVPut(contract.KVPut{Key: keyLearning, Value: window.encode()})
}

// hold puts a delivery into quarantine. It gets no dedupe key: a forged one must not keep
// the genuine one with the same id out.
func (d *delivery) hold() (*contract.ReceiveOutput, error) {
	if len(d.body) > maxHeldBytes || !utf8.Valid(d.body) {
		return rejected(413, "too_large_to_hold", "It is not known yet how UChat signs, and bodies over 48 KiB are not held until then."), nil
	}
	r, _, found, err := record.Read(d.h, keyQuarantine)
	if err != nil {
		return nil, err
	}
	turn := int64(0)
	if found {
		turn = r.Int("turn")
	}
	place := heldKey(turn)
	if _, _, taken, err := d.h.KVGet(place); err != nil {
		return nil, err
	} else if taken {
		return rejected(429, "quarantine_full", "It is not known yet how UChat signs, and no more can be held until then."), nil
	}
	if err := d.h.KVPut(contract.KVPut{Key: place, Value: d.held(turn), TTLSeconds: ttlHeld}); err != nil {
		return nil, err
	}
	err = d.h.KVPut(contract.KVPut{Key: keyQuarantine, Value: payload.New().Number("turn", turn+1).End()})
	return d.out, err
}

func heldKey(turn int64) string {
	n := strconv.FormatInt(turn%maxHeld, 10)
	return prefixHeld + "00"[len(n):] + n
}

// held is the delivery as it is kept: a line with what is needed to verify it, then its body
// as it came.
func (d *delivery) held(turn int64) string {
	var fields []string
	for _, name := range d.candidates() {
		fields = append(fields, payload.New().Text("name", name).Text("value", plain.Clip(valuesOf(d.headers, name)[0], 512)).End())
	}
	return payload.New().Number("turn", turn).Text("delivery", string(d.in.ID)).
		Raw("headers", "["+strings.Join(fields, ",")+"]").End() + "\n" + string(d.body)
}

// heldDelivery is a delivery in quarantine.
type heldDelivery struct {
	key     string
	version int64
	turn    int64
	id      string
	signed
}

func readHeld(e contract.KVEntry) (heldDelivery, error) {
	line, body, _ := strings.Cut(e.Value, "\n")
	r, err := payload.Parse([]byte(line), payload.Limits{})
	if err != nil {
		return heldDelivery{}, record.ErrDamaged
	}
	held := heldDelivery{
		key: e.Key, version: e.Version, turn: r.Int("turn"), id: r.String("delivery"), signed: signed{body: []byte(body)},
	}
	for _, f := range r.Objects("headers") {
		held.headers = append(held.headers, contract.Header{Name: f.String("name"), Value: f.String("value")})
	}
	return held, record.Check(r)
}

// release empties the quarantine and returns the events of what is believed of it, in the
// order in which it came: what the scheme verifies, or with no scheme everything.
func release(h pdk.Host, set settings, s *scheme) ([]contract.Event, error) {
	page, err := h.KVList(contract.KVList{Prefix: prefixHeld, Limit: maxHeld})
	if err != nil {
		return nil, err
	}
	var list []heldDelivery
	for _, entry := range page.Entries {
		held, err := readHeld(entry)
		if err != nil {
			return nil, err
		}
		list = append(list, held)
	}
	slices.SortFunc(list, func(a, b heldDelivery) int { return int(a.turn - b.turn) })
	var events []contract.Event
	seen := make(map[string]bool)
	for _, held := range list {
		more, err := held.release(h, set, s, seen)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	return events, nil
}

// release takes one delivery out of quarantine. Of those with the same id only the first
// counts.
func (held *heldDelivery) release(h pdk.Host, set settings, s *scheme, seen map[string]bool) ([]contract.Event, error) {
	if err := h.KVDelete(contract.KVDelete{Key: held.key, CheckVersion: true, ExpectedVersion: held.version}); err != nil {
		return nil, err
	}
	if s != nil {
		if verdict, err := held.verify(h, *s); err != nil || verdict != signatureGood {
			h.Log(pdk.LogWarn, "a delivery in quarantine was dropped: its signature is not UChat's", "delivery", held.id)
			return nil, err
		}
	}
	doc, err := payload.Parse(held.body, payload.Limits{MaxBytes: maxBodyBytes})
	if err != nil {
		return nil, record.ErrDamaged
	}
	e := readEnvelope(doc)
	if doc.Err() != nil {
		h.Log(pdk.LogWarn, "a delivery in quarantine was dropped: it does not fit the protocol", "delivery", held.id)
		return nil, nil
	}
	if name := e.event + ":" + e.id; e.id != "" {
		if seen[name] {
			return nil, nil
		}
		seen[name] = true
	}
	d := &delivery{h: h, set: set, out: accepted(), signed: held.signed}
	err = d.take(e, held.id)
	return d.out.Events, err
}
