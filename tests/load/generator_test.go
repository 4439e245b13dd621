//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// answerer is a server that answers each request as it is told to.
func answerer(t *testing.T, answer func(n int, c net.Conn) (again bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for in := bufio.NewReader(c); ; {
					if _, err := http.ReadRequest(in); err != nil || !answer(int(n.Add(1)), c) {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func get(_ int, buf []byte) []byte { return append(buf, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...) }

func say(c net.Conn, text string) bool {
	_, err := c.Write([]byte(text))
	return err == nil
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestAStallShowsInEveryRequestThatWasDueMeanwhile is what an open load is for: a closed
// one would see one slow request.
func TestAStallShowsInEveryRequestThatWasDueMeanwhile(t *testing.T) {
	stall := time.NewTimer(0)
	address := answerer(t, func(n int, c net.Conn) bool {
		if n == 11 {
			stall.Reset(300 * time.Millisecond)
			<-stall.C
		}
		return say(c, fine)
	})
	<-stall.C
	out, err := Offer(Load{Address: address, Connections: 1, Rate: 100, Count: 100, Build: get})
	if err != nil || out.OK() != 100 || out.Failed() != 0 {
		t.Fatalf("%+v, %v", out.Statuses, err)
	}
	// About thirty were due within the 300 ms; the later of them waited less. From when they
	// were sent, one was slow.
	if got := out.Latency.Quantile(0.85); got < 100*time.Millisecond {
		t.Errorf("15 of 100 waited for %v or more, want at least 100 ms", got)
	}
	if got, open := out.Service.Quantile(0.85), out.Latency.Quantile(0.85); got > open/2 {
		t.Errorf("from when they were sent, 15 of 100 took %v or more, from when they were due %v", got, open)
	}
	if out.Took < 900*time.Millisecond {
		t.Errorf("100 requests at 100/s took %v", out.Took)
	}
}

func TestEachKindOfAnswerIsCounted(t *testing.T) {
	address := answerer(t, func(n int, c net.Conn) bool {
		switch n % 5 {
		case 0:
			return say(c, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n") && false
		case 1:
			return false // hung up without an answer
		case 2:
			return say(c, "HTTP/1.1 204 No Content\r\n\r\n")
		case 3: // in pieces
			return say(c, fine[:20]) && say(c, fine[20:len(fine)-1]) && say(c, fine[len(fine)-1:])
		}
		return say(c, fine)
	})
	var told atomic.Int64
	out, err := Offer(Load{Address: address, Connections: 4, Rate: 1000, Count: 100, Build: get,
		Done: func(int, int, time.Time) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]int{0: 20, 200: 40, 204: 20, 503: 20}
	if fmt.Sprint(out.Statuses) != fmt.Sprint(want) || out.OK() != 60 || out.Failed() != 40 || told.Load() != 100 {
		t.Errorf("got %v, %d told, want %v", out.Statuses, told.Load(), want)
	}
}

func TestALoadThatIsNotBorneIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	address := answerer(t, func(_ int, c net.Conn) bool {
		<-release
		return say(c, fine)
	})
	out, err := Offer(Load{Address: address, Connections: 2, Rate: 1000, Count: 10_000, Build: get, GiveUpBehind: 100})
	if err != nil || out.Unsent != 9998 || out.Statuses[0] != 2 || out.Failed() != 10_000 {
		t.Errorf("got %v, %d unsent, %v", out.Statuses, out.Unsent, err)
	}
	if trial := (&Trial{Outcome: out}); borne(trial) {
		t.Error("it counts as borne")
	}
}

func TestRefusalsCountAgainstP99(t *testing.T) {
	trial := &Trial{Outcome: Outcome{Statuses: map[int]int{200: 98, 503: 2}}}
	for range 98 {
		trial.Latency.Add(time.Millisecond)
	}
	if got := trial.P99(); got < time.Minute {
		t.Errorf("with 2 of 100 refused, p99 is %v", got)
	}
	trial.Statuses = map[int]int{200: 98}
	if got := trial.P99(); got > 2*time.Millisecond {
		t.Errorf("with none refused, p99 is %v", got)
	}
}
