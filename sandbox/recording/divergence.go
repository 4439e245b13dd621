package recording

import (
	"bytes"
	"fmt"
	"strings"
)

// What says in what a replay and its recording differ.
type What string

// In what they can differ, in the order in which it is looked for.
const (
	DifferentDigest    What = "digest"       // another plugin file
	DifferentFunction  What = "function"     // another host function was called
	DifferentArguments What = "arguments"    // a host function was called with other arguments
	DifferentAnswer    What = "answer"       // a host function answered something else
	ExtraCall          What = "extra_call"   // one host call more
	MissingCall        What = "missing_call" // fewer host calls
	DifferentOutput    What = "output"       // another output
	DifferentFailure   What = "failure"      // another failure, one where there was none, or none where there was one
	DifferentFuel      What = "fuel"         // the same, for another amount of fuel
)

// Divergence is the first thing in which what happened differs from what was recorded.
// Match on What; everything else is for people.
type Divergence struct {
	What What `json:"what"`
	// Call is the host call, counted from one, for those that concern one; else zero.
	Call int `json:"call,omitempty"`
	// Function is the host function that was called at that call, or that was expected.
	Function string `json:"function,omitempty"`
	// Want is what was recorded and Got what came, cut to a readable length.
	Want string `json:"want"`
	Got  string `json:"got"`
	// Differences are the places in which two JSON documents differ, at most [MaxDifferences].
	Differences []Difference `json:"differences,omitempty"`
}

// String tells it in one line, and below it one for each difference.
func (d *Divergence) String() string {
	var b strings.Builder
	b.WriteString(d.sentence())
	for _, one := range d.Differences {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

func (d *Divergence) sentence() string {
	at := fmt.Sprintf("host call %d", d.Call)
	switch d.What {
	case DifferentDigest:
		return fmt.Sprintf("the plugin is another file: the recording is of %s, this is %s", d.Want, d.Got)
	case DifferentFunction:
		return fmt.Sprintf("%s: recorded is %s, called was %s", at, d.Want, d.Got)
	case DifferentArguments:
		return d.withTexts(fmt.Sprintf("%s: %s was called with other arguments", at, d.Function))
	case DifferentAnswer:
		return d.withTexts(fmt.Sprintf("%s: %s answered something else", at, d.Function))
	case ExtraCall:
		return fmt.Sprintf("%s: nothing more is recorded, and it called %s", at, d.Got)
	case MissingCall:
		return fmt.Sprintf("%s: recorded is %s, and it was not called", at, d.Want)
	case DifferentOutput:
		return d.withTexts("the output is another")
	case DifferentFailure:
		return fmt.Sprintf("it ended in another way: recorded is %s; now it is %s", d.Want, d.Got)
	case DifferentFuel:
		return fmt.Sprintf("it used another amount of fuel: recorded are %s, now it is %s", d.Want, d.Got)
	}
	return fmt.Sprintf("%s: recorded is %s, now it is %s", d.What, d.Want, d.Got)
}

// withTexts adds the two texts where there is no list of differences.
func (d *Divergence) withTexts(sentence string) string {
	if len(d.Differences) > 0 {
		return sentence
	}
	return fmt.Sprintf("%s: recorded is %s, now it is %s", sentence, d.Want, d.Got)
}

// Compare returns the first thing in which two recordings of the same invocation differ,
// or nil. Fuel counts only between recordings of the same plugin file, and logs, memory
// and time do not count at all.
func Compare(want, got *Recording) *Divergence {
	for i := range want.Calls {
		if i >= len(got.Calls) {
			return &Divergence{What: MissingCall, Call: i + 1, Function: want.Calls[i].Function, Want: want.Calls[i].describe()}
		}
		if d := compareCall(i, &want.Calls[i], &got.Calls[i]); d != nil {
			return d
		}
	}
	if n := len(want.Calls); n < len(got.Calls) {
		return extraCall(n, &got.Calls[n])
	}
	if d := compareOutcome(&want.Outcome, &got.Outcome); d != nil {
		return d
	}
	if want.Digest == got.Digest && want.Fuel != got.Fuel {
		return &Divergence{What: DifferentFuel, Want: fmt.Sprint(want.Fuel), Got: fmt.Sprint(got.Fuel)}
	}
	return nil
}

// CompareDigests returns the divergence of two digests, or nil.
func CompareDigests(want, got string) *Divergence {
	if want == got {
		return nil
	}
	return &Divergence{What: DifferentDigest, Want: want, Got: got}
}

func extraCall(i int, got *Call) *Divergence {
	return &Divergence{What: ExtraCall, Call: i + 1, Function: got.Function, Got: got.describe()}
}

func compareCall(i int, want, got *Call) *Divergence {
	if d := compareQuestion(i, want, got); d != nil {
		return d
	}
	d := &Divergence{What: DifferentAnswer, Call: i + 1, Function: got.Function}
	switch {
	case !sameFailure(want.Failure, got.Failure):
		d.Want, d.Got = describeEnd(want.Answer, want.Failure), describeEnd(got.Answer, got.Failure)
	case !bytes.Equal(want.Answer, got.Answer):
		d.describe(want.Answer, got.Answer)
	default:
		return nil
	}
	return d
}

// compareQuestion compares two calls as far as the plugin decides them.
func compareQuestion(i int, want, got *Call) *Divergence {
	d := &Divergence{Call: i + 1, Function: got.Function}
	switch {
	case want.Function != got.Function:
		d.What, d.Want, d.Got = DifferentFunction, want.describe(), got.describe()
	case !bytes.Equal(want.Arguments, got.Arguments):
		d.What = DifferentArguments
		d.describe(want.Arguments, got.Arguments)
	default:
		return nil
	}
	return d
}

func compareOutcome(want, got *Outcome) *Divergence {
	if !sameFailure(want.Failure, got.Failure) {
		return &Divergence{What: DifferentFailure, Want: describeEnd(want.Output, want.Failure), Got: describeEnd(got.Output, got.Failure)}
	}
	if bytes.Equal(want.Output, got.Output) {
		return nil
	}
	d := &Divergence{What: DifferentOutput}
	d.describe(want.Output, got.Output)
	return d
}

// sameFailure compares what a failure states; where a trap was and what it said is not
// the plugin's result.
func sameFailure(want, got *Failure) bool {
	if want == nil || got == nil {
		return want == got
	}
	return want.Kind == got.Kind && want.Message == got.Message && want.Code == got.Code &&
		want.Limit == got.Limit && want.Function == got.Function
}

// describe fills in the texts, and the differences of documents.
func (d *Divergence) describe(want, got []byte) {
	d.Want, d.Got = excerpts(string(want), string(got))
	d.Differences = diff(want, got)
}

func (c *Call) describe() string {
	return fmt.Sprintf("%s(%s)", c.Function, excerpt(string(c.Arguments)))
}

func describeEnd(output []byte, f *Failure) string {
	if f == nil {
		return "the output " + excerpt(string(output))
	}
	text := f.Message
	if len(text) > maxFailureText {
		text = strings.ToValidUTF8(text[:maxFailureText], "") + "…"
	}
	return fmt.Sprintf("the failure %q (%s)", text, f.Kind)
}
