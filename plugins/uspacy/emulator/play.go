package emulator

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/seed75a60ee1/patchbay/plugins/internal/emulate"
)

// answer is what a service of the platform answers.
type answer struct {
	status  int
	content string // the media type
	body    []byte
}

func jsonAnswer(status int, value any) answer {
	return answer{status, "application/json", encode(value)}
}

// play carries out one request of a service beside the messenger, as a step says: effect is
// what it does by the rules.
func (p *Platform) play(w http.ResponseWriter, r *http.Request, op string, effect func(body []byte) answer) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxBody))
	ex := Exchange{
		Op: op, Host: r.Host, Method: r.Method, URI: r.URL.RequestURI(), Header: r.Header.Clone(), Body: body, Began: p.now(),
	}
	defer func() { p.rec.Add(ex) }()
	step := p.next(op)
	if step.Before != nil {
		step.Before()
	}
	var a answer
	if step.takes() {
		a = effect(body)
		if step.After != nil {
			step.After()
		}
	}
	if step.Status != 0 {
		a = jsonAnswer(step.Status, nestError(step.Status, "as the script says"))
	}
	if step.Body != "" {
		a.body = []byte(step.Body)
	}
	if !p.server.Pause(r.Context(), step.Hold) && step.Hold != nil || step.HangUp {
		ex.Err = "hung up"
		panic(http.ErrAbortHandler)
	}
	for name, values := range step.Header {
		w.Header()[name] = values
	}
	ex.Status, ex.Response = a.status, a.body
	w.Header().Set("Content-Type", a.content)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // an app that went away is its own problem
}

// Answer is what the app answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK tells whether the app took it.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// send makes a request to the app, and records it.
func (p *Platform) send(ctx context.Context, op string, r *http.Request, body []byte) (Answer, error) {
	ex := Exchange{
		Op: op, Host: r.URL.Host, Method: r.Method, URI: r.URL.RequestURI(), Header: r.Header.Clone(), Body: body, Began: p.now(),
	}
	defer func() { p.rec.Add(ex) }()
	answer, err := emulate.Do(p.client, r.WithContext(ctx))
	if err != nil {
		ex.Err = err.Error()
		return Answer{}, fmt.Errorf("emulator: %s: %w", op, err)
	}
	ex.Status, ex.Response = answer.Status, answer.Body
	return Answer(answer), nil
}
