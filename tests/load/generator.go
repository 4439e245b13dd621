//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Load is what is offered: Count requests, one every 1/Rate seconds, over Connections
// kept-alive HTTP/1.1 connections. The rate does not give way to a slow server: a request
// whose turn has come waits for a free connection, and its latency counts from when it was
// due.
type Load struct {
	Address     string // host:port
	Connections int
	Rate        float64 // requests a second
	Count       int
	// Begin is when the first request is due; zero means at once.
	Begin time.Time
	// Build appends the whole n-th request to buf. It is called from one goroutine.
	Build func(n int, buf []byte) []byte
	// Done is told of each answer, from the same goroutine; status 0 means that none came.
	// May be nil.
	Done func(n, status int, due time.Time)
	// Patience is how long the last requests are waited for; 0 means 10 s.
	Patience time.Duration
	// GiveUpBehind ends the run when so many requests that are due have not been sent; 0
	// means never. What was not sent is told in Outcome.Unsent.
	GiveUpBehind int
}

// Due is when the n-th request is.
func (l *Load) Due(n int) time.Time {
	return l.Begin.Add(time.Duration(float64(n) / l.Rate * float64(time.Second)))
}

// Outcome is what came of a load.
type Outcome struct {
	// Latency is from when a request was due to the last byte of its answer; Service from
	// when it was sent, which is what a closed loop would have told. Both are of answers 2xx.
	Latency, Service Histogram
	// Statuses counts the answers; those that never came are under 0.
	Statuses map[int]int
	Unsent   int
	// Took is from the first request due to the last answer.
	Took time.Duration
	// CPU is what the generator itself used.
	CPU time.Duration
}

// OK counts the answers 2xx.
func (o *Outcome) OK() (n int) {
	for status, count := range o.Statuses {
		if status >= 200 && status < 300 {
			n += count
		}
	}
	return n
}

// Failed counts everything that was offered and not answered 2xx.
func (o *Outcome) Failed() int {
	n := o.Unsent
	for status, count := range o.Statuses {
		if status < 200 || status >= 300 {
			n += count
		}
	}
	return n
}

// generator offers one load from one thread: sockets that do not block, and epoll.
type generator struct {
	load    Load
	epoll   int
	byFD    map[int32]*wire
	free    []*wire
	next    int // the next request to send
	open    int // requests without their answer
	outcome Outcome
}

// wire is one connection.
type wire struct {
	fd   int
	busy bool
	n    int
	sent time.Time
	out  []byte
	in   []byte // what has come of the answer
}

// Offer offers the load and returns when every answer has come, or patience ends. The
// error means that no connection could be made at all.
func Offer(load Load) (Outcome, error) {
	if load.Patience == 0 {
		load.Patience = 10 * time.Second
	}
	runtime.LockOSThread() // so that the thread's use of the processor is the generator's
	defer runtime.UnlockOSThread()
	g := &generator{load: load, byFD: map[int32]*wire{}}
	g.outcome.Statuses = map[int]int{}
	var err error
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return g.outcome, fmt.Errorf("make an epoll: %w", err)
	}
	defer func() { _ = unix.Close(g.epoll) }() // it holds nothing
	defer g.hangUp()
	for range load.Connections {
		if err := g.dial(&wire{fd: -1}); err != nil {
			return g.outcome, err
		}
	}
	before := threadCPU()
	err = g.run()
	g.outcome.CPU = threadCPU() - before
	return g.outcome, err
}

func threadCPU() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// dial connects a wire and makes it free. The wait for a connection is not counted: it is
// done before the first request, and after that only in the place of a broken one.
func (g *generator) dial(w *wire) error {
	address, err := net.ResolveTCPAddr("tcp4", g.load.Address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a socket: %w", err)
	}
	to := &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}
	if err = unix.Connect(fd, to); err == nil {
		err = errors.Join(unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
	}
	if err != nil {
		_ = unix.Close(fd) // it was never used
		return fmt.Errorf("connect to %s: %w", g.load.Address, err)
	}
	w.fd, w.busy, w.in = fd, false, w.in[:0]
	g.byFD[int32(fd)] = w
	g.free = append(g.free, w)
	return nil
}

func (g *generator) hangUp() {
	for fd := range g.byFD {
		_ = unix.Close(int(fd)) // whatever is in it has been given up
	}
}

func (g *generator) run() error {
	if g.load.Begin.IsZero() {
		g.load.Begin = time.Now()
	}
	last := g.load.Due(g.load.Count)
	events := make([]unix.EpollEvent, 256)
	for g.next < g.load.Count || g.open > 0 {
		now := time.Now()
		if now.Sub(last) > g.load.Patience || g.behind(now) {
			break
		}
		if err := g.send(now); err != nil {
			return err
		}
		if err := g.wait(now); err != nil {
			return err
		}
		if err := g.receive(events); err != nil {
			return err
		}
	}
	g.outcome.Took = time.Since(g.load.Begin)
	g.outcome.Unsent = g.load.Count - g.next
	if g.open > 0 {
		g.outcome.Statuses[0] += g.open
	}
	return nil
}

// behind tells whether to give up.
func (g *generator) behind(now time.Time) bool {
	due := min(int(now.Sub(g.load.Begin).Seconds()*g.load.Rate), g.load.Count)
	return g.load.GiveUpBehind > 0 && due-g.next > g.load.GiveUpBehind
}

// send sends what is due, as far as connections are free.
func (g *generator) send(now time.Time) error {
	for g.next < g.load.Count && len(g.free) > 0 && !g.load.Due(g.next).After(now) {
		w := g.free[len(g.free)-1]
		g.free = g.free[:len(g.free)-1]
		w.n, w.busy, w.sent = g.next, true, now
		w.out = g.load.Build(w.n, w.out[:0])
		g.next++
		g.open++
		if n, err := unix.Write(w.fd, w.out); err != nil || n < len(w.out) {
			if err := g.broken(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait waits for an answer, or until the next request is due and has a connection.
func (g *generator) wait(now time.Time) error {
	for_ := 50 * time.Millisecond
	if g.next < g.load.Count && len(g.free) > 0 {
		for_ = min(max(g.load.Due(g.next).Sub(now), 0), for_)
	}
	limit := unix.NsecToTimespec(int64(for_))
	_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(g.epoll), Events: unix.POLLIN}}, &limit, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	return nil
}

// receive takes the answers that are there.
func (g *generator) receive(events []unix.EpollEvent) error {
	n, err := unix.EpollWait(g.epoll, events, 0)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("take answers: %w", err)
	}
	for _, event := range events[:max(n, 0)] {
		if w := g.byFD[event.Fd]; w != nil {
			if err := g.read(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// readBytes is room for an answer; a longer one is read in several steps.
const readBytes = 4 << 10

func (g *generator) read(w *wire) error {
	have := len(w.in)
	if cap(w.in)-have < readBytes {
		w.in = append(make([]byte, 0, 2*(have+readBytes)), w.in...)
	}
	n, err := unix.Read(w.fd, w.in[have:cap(w.in)])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil || n <= 0 || !w.busy:
		return g.broken(w)
	}
	w.in = w.in[:have+n]
	status, length, keep, err := parseAnswer(w.in)
	switch {
	case err != nil:
		return g.broken(w)
	case length < 0 || len(w.in) < length:
		return nil
	}
	g.answered(w, status)
	if !keep {
		return g.redial(w)
	}
	w.in, w.busy = w.in[:0], false
	g.free = append(g.free, w)
	return nil
}

func (g *generator) answered(w *wire, status int) {
	now := time.Now()
	due := g.load.Due(w.n)
	if status >= 200 && status < 300 {
		g.outcome.Latency.Add(now.Sub(due))
		g.outcome.Service.Add(now.Sub(w.sent))
	}
	g.outcome.Statuses[status]++
	g.open--
	if g.load.Done != nil {
		g.load.Done(w.n, status, due)
	}
}

// broken gives a connection up and makes another in its place.
func (g *generator) broken(w *wire) error {
	if w.busy {
		g.answered(w, 0)
	}
	return g.redial(w)
}

func (g *generator) redial(w *wire) error {
	for i, other := range g.free {
		if other == w {
			g.free = append(g.free[:i], g.free[i+1:]...)
			break
		}
	}
	delete(g.byFD, int32(w.fd))
	_ = unix.Close(w.fd) // its answer, if any, has been taken
	return g.dial(w)
}
