package ingress_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/broker"
	"github.com/seed75a60ee1/patchbay/host/ingress"
	"github.com/seed75a60ee1/patchbay/host/ingress/gate"
)

// crowded is a world whose broker answers no delivery before it is told to.
type crowded struct {
	*world
	entered chan string   // endpoints, as the broker gets them
	answer  chan struct{} // one for each answer
	shed    chan string
}

func crowd(t *testing.T, shedding ingress.Shedding) *crowded {
	c := &crowded{entered: make(chan string, 100), answer: make(chan struct{}, 100), shed: make(chan string, 100)}
	shedding.Shed = func(why string) { c.shed <- why }
	shedding.Random = func() float64 { return 0.35 }
	c.world = openShedding(t, shedding, func(r broker.Request) broker.Answer {
		c.entered <- r.Endpoint
		<-c.answer
		return broker.Answer{Status: 200}
	}, fakeMedia{})
	c.broker.received = make(chan broker.Request, 100)
	return c
}

// send sends a request, and returns where its answer comes.
func (c *crowded) send(raw string) (net.Conn, *bufio.Reader) {
	c.t.Helper()
	nc, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.WriteString(nc, raw); err != nil {
		c.t.Fatal(err)
	}
	return nc, bufio.NewReader(nc)
}

func (c *crowded) status(r *bufio.Reader) *http.Response {
	c.t.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// refused checks that an answer is a refusal that every platform understands.
func (c *crowded) refused(answer *http.Response, why string) {
	c.t.Helper()
	if answer.StatusCode != 503 || answer.Header.Get("Retry-After") != "4" || answer.Header.Get("Content-Type") != gate.ProblemType {
		c.t.Errorf("got %d, Retry-After %q, %s", answer.StatusCode, answer.Header.Get("Retry-After"), answer.Header.Get("Content-Type"))
	}
	if got := <-c.shed; got != why {
		c.t.Errorf("counted as %q, want %q", got, why)
	}
}

// untilWaiting returns once so many deliveries wait for their turn.
func (c *crowded) untilWaiting(n int) {
	c.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if c.server.Waiting() == n {
			return
		}
		<-tick.C
	}
	c.t.Fatalf("%d wait, want %d", c.server.Waiting(), n)
}

func get(endpoint string) string {
	return "GET /in/" + endpoint + " HTTP/1.1\r\nHost: x\r\n\r\n"
}

func TestDeliveriesBeyondTheRoomAreTurnedAwayBeforeTheirBodyIsRead(t *testing.T) {
	c := crowd(t, ingress.Shedding{MaxInFlight: 2, MaxWaiting: 1, MaxWait: time.Minute})
	_, first := c.send(get("a"))
	_, second := c.send(get("b"))
	<-c.entered
	<-c.entered
	_, third := c.send(get("c")) // waits
	c.untilWaiting(1)
	// The rest of the body never comes: whoever wants to read it waits for the timeout. The
	// first 8 KiB are read with the header, whatever comes of it.
	_, fourth := c.send("POST /in/c HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 10_000))
	c.refused(c.status(fourth), "full")
	for range 3 {
		c.answer <- struct{}{}
	}
	for i, r := range []*bufio.Reader{first, second, third} {
		if got := c.status(r); got.StatusCode != 200 {
			t.Errorf("delivery %d, which was taken, is answered %d", i+1, got.StatusCode)
		}
	}
}

func TestWhoeverWaitsTooLongIsToldToComeAgain(t *testing.T) {
	c := crowd(t, ingress.Shedding{MaxInFlight: 1, MaxWaiting: 5, MaxWait: time.Millisecond})
	_, first := c.send(get("a"))
	<-c.entered
	_, second := c.send(get("b"))
	c.refused(c.status(second), "waited")
	c.answer <- struct{}{}
	if got := c.status(first); got.StatusCode != 200 {
		t.Errorf("the one inside is answered %d", got.StatusCode)
	}
	_, third := c.send(get("b"))
	c.answer <- struct{}{}
	if got := c.status(third); got.StatusCode != 200 {
		t.Errorf("the one that came again is answered %d", got.StatusCode)
	}
}

func TestBodiesAreBoundedAllTogetherByWhatHasCome(t *testing.T) {
	c := crowd(t, ingress.Shedding{MaxInFlight: 10, MaxBodyBytes: 100_000})
	body := strings.Repeat("x", 40_000)
	post := fmt.Sprintf("POST /in/%%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
	var taken []*bufio.Reader
	for _, endpoint := range []string{"a", "b"} {
		_, r := c.send(fmt.Sprintf(post, endpoint) + body)
		taken = append(taken, r)
		<-c.entered
	}
	// Announced and not sent, a body costs nothing.
	slow, slowAnswer := c.send(fmt.Sprintf(post, "slow"))
	_, third := c.send(fmt.Sprintf(post, "c") + body)
	c.refused(c.status(third), "bytes")
	for range 3 {
		c.answer <- struct{}{}
	}
	for _, r := range taken {
		c.status(r)
	}
	if _, err := io.WriteString(slow, body); err != nil {
		t.Fatal(err)
	}
	if got := c.status(slowAnswer); got.StatusCode != 200 {
		t.Errorf("the slow one is answered %d", got.StatusCode)
	}
	if used := c.server.HeldBytes(); used != 0 {
		t.Errorf("%d bytes are held although nothing is in flight", used)
	}
}

func TestADeliveryHasADeadline(t *testing.T) {
	w := openShedding(t, ingress.Shedding{MaxTime: time.Minute}, func(broker.Request) broker.Answer { return broker.Answer{Status: 200} }, fakeMedia{})
	w.broker.times = make(chan time.Time, 1)
	w.exchange(get("e"))
	if left := time.Until(<-w.broker.times); left > time.Minute || left < 30*time.Second {
		t.Errorf("it ends in %v", left)
	}
}
