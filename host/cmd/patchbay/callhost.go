package main

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"fmt"
	"os"

	"github.com/go-json-experiment/json"

	"github.com/seed75a60ee1/patchbay/sandbox"
	"github.com/seed75a60ee1/patchbay/sandbox/recording"
)

// readAnswers reads the file of --host: what host functions answer, by name, or a
// recording.
func readAnswers(file string) (map[string]sandbox.HostFunc, error) {
	if file == "" {
		return answering(nil), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var named map[string]stdjson.RawMessage
	if err := json.Unmarshal(data, &named); err != nil {
		return nil, fmt.Errorf("%s is neither answers by name nor a recording: %w", file, err)
	}
	if _, isRecording := named["format"]; isRecording {
		r, err := recording.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return answering(answersOf(r)), nil
	}
	answers := map[string][][]byte{}
	for name, value := range named {
		if answers[name], err = answerList(value); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, name, err)
		}
	}
	return answering(answers), nil
}

// answersOf are the answers in a recording, by the function that gave them.
func answersOf(r *recording.Recording) map[string][][]byte {
	answers := map[string][][]byte{}
	for _, c := range r.Calls {
		if c.Failure == nil {
			answers[c.Function] = append(answers[c.Function], c.Answer)
		}
	}
	return answers
}

// answerList reads one answer, or a list of them.
func answerList(value []byte) (all [][]byte, err error) {
	list := []stdjson.RawMessage{value}
	if bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) {
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, err
		}
	}
	for _, one := range list {
		answer, err := answerOf(one)
		if err != nil {
			return nil, err
		}
		all = append(all, answer)
	}
	return all, nil
}

// answerOf reads an answer: a string is the text itself and bytes may be written as a
// recording has them; any other document is the answer.
func answerOf(value []byte) ([]byte, error) {
	var b recording.Bytes
	if json.Unmarshal(value, &b) == nil {
		return b, nil
	}
	var compact bytes.Buffer
	err := stdjson.Compact(&compact, value)
	return compact.Bytes(), err
}

// unanswered is a host call that nobody wrote an answer for.
type unanswered struct{ function string }

func (e *unanswered) Error() string { return "no answer was given for it" }

// answering makes host functions of answers. One that has none fails by name.
func answering(answers map[string][][]byte) map[string]sandbox.HostFunc {
	host := map[string]sandbox.HostFunc{}
	for _, name := range allHostFunctions(answers) {
		left := answers[name]
		host[name] = func(context.Context, []byte) ([]byte, error) {
			if len(left) == 0 {
				return nil, &unanswered{name}
			}
			answer := left[0]
			if len(left) > 1 {
				left = left[1:]
			}
			return answer, nil
		}
	}
	return host
}
