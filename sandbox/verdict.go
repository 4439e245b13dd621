package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

// verdict says what an error of wazero's means: nil for a guest that ended itself in
// good order.
func (c *call) verdict(err error) error {
	var exit *sys.ExitError
	var fault *HostFault
	exited := errors.As(err, &exit)
	switch {
	case err == nil:
		return nil
	case c.stopped != nil:
		return c.stopped
	case errors.As(err, &fault):
		return fault
	case c.parent.Err() != nil || c.empty == "deadline":
		return c.ended()
	case c.empty == "fuel":
		return c.exhausted("fuel", c.fuel, c.fuelUsed)
	case c.empty != "" || isStackOverflow(err):
		return c.exhausted("stack_bytes", c.plugin.limits.StackBytes, c.plugin.limits.StackBytes+1)
	case exited:
		err = c.exit(err, exit.ExitCode())
	default:
		err = c.trap(err)
	}
	if q, _ := c.kernel.Exceeded(); q != "" && err != nil {
		return c.quota(err)
	}
	return err
}

// exhausted is a limit that ran out within the guest's own code.
func (c *call) exhausted(limit string, allowed, used int64) *LimitError {
	return &LimitError{Limit: limit, Allowed: allowed, Used: used}
}

// ended is why the call's time ended: of itself, or with its caller's.
func (c *call) ended() error {
	if c.parent.Err() != nil {
		return fmt.Errorf("call %s: %w", c.invocation.Export, context.Cause(c.parent))
	}
	return &LimitError{
		Limit: "deadline", Allowed: c.deadline.Milliseconds(), Used: time.Since(c.began).Milliseconds(),
		Err: context.DeadlineExceeded,
	}
}

// hostFault blames the host, unless the deadline passed within its function.
func (c *call) hostFault(name string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && c.timed().Err() != nil && c.parent.Err() == nil {
		return c.ended()
	}
	return &HostFault{Function: name, Err: err}
}

// exit is what a guest meant that ended itself. Code 0 is success, as Extism has it,
// once the export runs. Another is what a command reports; anything else that exits
// has crashed.
func (c *call) exit(err error, code uint32) error {
	var starting *startError
	early := errors.As(err, &starting)
	switch {
	case code == 0 && !early:
		return nil
	case c.invocation.Export == "_start":
		return c.guestError(int32(code))
	}
	t := &Trap{Export: c.invocation.Export, Cause: fmt.Sprintf("exit code %d", int32(code)), Stderr: c.clip(c.stderr.last())}
	if early {
		t.Cause = "in " + starting.function + ": " + t.Cause
	}
	return t
}

// isStackOverflow reports whether wazero's own limit was met, which says nothing else of
// itself than its text.
func isStackOverflow(err error) bool {
	text, _, _ := strings.Cut(err.Error(), stackHeader)
	return strings.TrimPrefix(text, "wasm error: ") == "stack overflow"
}

const stackHeader = "\nwasm stack trace:\n\t"

// trap takes apart what wazero makes one text of.
func (c *call) trap(err error) error {
	cause, stack, _ := strings.Cut(err.Error(), stackHeader)
	cause = strings.ReplaceAll(cause, "wasm error: ", "")
	return &Trap{
		Export: c.invocation.Export, Cause: c.clip(strings.TrimSuffix(cause, " (recovered by wazero)")),
		Stack: c.clip(strings.ReplaceAll(stack, "\n\t", "\n")), Stderr: c.clip(c.stderr.last()),
	}
}

// quota is the limit on blocks that the guest met, and what came of it.
func (c *call) quota(err error) *LimitError {
	q, wanted := c.kernel.Exceeded()
	allowed := int64(c.plugin.limits.Blocks)
	if q == kernel.QuotaBytes {
		allowed = c.plugin.limits.BlockBytes
	}
	return &LimitError{Limit: string(q), Allowed: allowed, Used: wanted, Err: err}
}

// output is what the guest set as its output, if it returned in good order.
func (c *call) output(code int32) ([]byte, error) {
	output, err := c.kernel.Output()
	_, failed := c.kernel.Failure()
	switch {
	case failed || code != 0:
		err = c.guestError(code)
	case err != nil:
		err = &GuestError{Export: c.invocation.Export, Message: err.Error()}
	case int64(len(output)) > c.plugin.limits.OutputBytes:
		return nil, &LimitError{Limit: "output_bytes", Allowed: c.plugin.limits.OutputBytes, Used: int64(len(output))}
	default:
		return output, nil
	}
	if q, _ := c.kernel.Exceeded(); q != "" {
		err = c.quota(err)
	}
	return nil, err
}

func (c *call) guestError(code int32) error {
	message, failed := c.kernel.Failure()
	if !failed {
		message = []byte("it gave no reason")
	}
	return &GuestError{Export: c.invocation.Export, Code: code, Message: c.clip(string(message[:min(len(message), c.plugin.limits.MessageBytes)]))}
}

func (c *call) clip(text string) string { return clip(text, c.plugin.limits.MessageBytes) }
