package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox"
)

// maxArgumentBytes bounds the argument of a host function.
const maxArgumentBytes = 8 << 20

// functions is the invocation's host functions by name: those that the plugin can call.
func (inv *invocation) functions() map[string]sandbox.HostFunc {
	functions := make(map[string]sandbox.HostFunc, len(inv.version.HostFunctions))
	for _, imported := range inv.version.HostFunctions {
		name := contract.HostFunction(imported)
		if !slices.Contains(offered, name) {
			continue
		}
		f := func(ctx context.Context, args []byte) ([]byte, error) { return inv.carryOut(ctx, name, args) }
		if inv.journal != nil {
			f = inv.journal.around(name, f, inv.redo(name))
		}
		functions[imported] = f
	}
	return functions
}

// carryOut carries out a host function. One that the grant leaves out answers that it is
// denied.
func (inv *invocation) carryOut(ctx context.Context, name contract.HostFunction, args []byte) ([]byte, error) {
	inv.broker.opts.Metrics.HostCall(inv.version.Manifest.Name, name)
	if !slices.Contains(inv.version.Grant.HostFunctions, string(name)) {
		return failed(denied("the grant leaves " + string(name) + " out")), nil
	}
	switch name {
	case contract.HostHTTPSend:
		return typed(ctx, args, inv.httpSend)
	case contract.HostKVGet:
		return typed(ctx, args, inv.kvGet)
	case contract.HostKVPut:
		return typed(ctx, args, inv.kvPut)
	case contract.HostKVDelete:
		return typed(ctx, args, inv.kvDelete)
	case contract.HostKVList:
		return typed(ctx, args, inv.kvList)
	case contract.HostRoutePut:
		return typed(ctx, args, inv.routePut)
	case contract.HostRouteDelete:
		return typed(ctx, args, inv.routeDelete)
	case contract.HostSecretEqual:
		return typed(ctx, args, inv.secretEqual)
	case contract.HostHMACVerify:
		return typed(ctx, args, inv.hmacVerify)
	case contract.HostHMACSign:
		return typed(ctx, args, inv.hmacSign)
	case contract.HostHTTPCachedGet:
		return typed(ctx, args, inv.cachedGet)
	case contract.HostJWTVerify:
		return typed(ctx, args, inv.jwtVerify)
	case contract.HostJWTSign:
		return typed(ctx, args, inv.jwtSign)
	case contract.HostSignatureVerify:
		return typed(ctx, args, inv.signatureVerify)
	case contract.HostMediaFetch:
		return typed(ctx, args, inv.mediaFetch)
	case contract.HostCredentialsPut:
		return typed(ctx, args, inv.credentialsPut)
	case contract.HostMediaLink:
		return typed(ctx, args, inv.mediaLink)
	case contract.HostMediaPut:
		return typed(ctx, args, inv.mediaPut)
	case contract.HostDeliveryBody:
		return inv.body, nil // bytes and no document
	}
	return nil, fmt.Errorf("host function %s is offered and not carried out", name)
}

// typed carries out a host function over documents. An argument that cannot be decoded is
// an answer to the guest; an error is the host's own and ends the invocation.
func typed[A any, P interface {
	*A
	contract.Decodable
}, R encodable](ctx context.Context, args []byte, f func(context.Context, *A) (R, error)) ([]byte, error) {
	if len(args) > maxArgumentBytes {
		return failed(invalid("the argument is too long")), nil
	}
	var in A
	if err := contract.Unmarshal(args, P(&in)); err != nil {
		return failed(invalid(bounded(err.Error()))), nil
	}
	result, err := f(ctx, &in)
	if err != nil {
		return nil, err
	}
	return result.AppendJSON(nil), nil
}

// failed is a result that is nothing but an error; every result document has that field.
func failed(e *contract.HostError) []byte { return (&contract.Done{Error: e}).AppendJSON(nil) }

func invalid(message string) *contract.HostError {
	return &contract.HostError{Code: contract.HostInvalid, Message: message, Certain: true}
}

func denied(message string) *contract.HostError {
	return &contract.HostError{Code: contract.HostDenied, Message: message, Certain: true}
}

func quota(message string) *contract.HostError {
	return &contract.HostError{Code: contract.HostQuota, Message: message, Certain: true}
}

func notFound(message string) *contract.HostError {
	return &contract.HostError{Code: contract.HostNotFound, Message: message, Certain: true}
}

// httpSend is the host function http_send. Only commands may call out: a delivery's
// platform is waiting.
func (inv *invocation) httpSend(ctx context.Context, in *contract.HTTPRequest) (*contract.HTTPResult, error) {
	if inv.answersPlatform() {
		return &contract.HTTPResult{Error: denied("receive and route may not call out; return a command instead")}, nil
	}
	inv.carried = nil
	return inv.noteAnswer(ctx, inv.broker.opts.Egress.Send(ctx, inv.policy(), inv.reveal, *in)), nil
}

// notePause remembers that a destination is left alone for a while. That is no try of the
// command's.
func (inv *invocation) notePause(r *contract.HTTPResult) *contract.HTTPResult {
	if r.Error != nil {
		inv.paused = max(inv.paused, pauseOf(r.Error))
	}
	return r
}

// pauseOf is for how long a destination is left alone.
func pauseOf(e *contract.HostError) time.Duration {
	return time.Duration(e.RetryAfterMillis) * time.Millisecond
}

// granted tells whether the reviewer granted the secret.
func (inv *invocation) granted(name string) bool {
	return slices.Contains(inv.version.Grant.Secrets, name)
}

// verdict turns a comparison that may lack its secret into a result.
func verdict(ok bool, err error) (*contract.Verdict, error) {
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return &contract.Verdict{Error: notFound("the connection has no such secret")}, nil
	case err != nil:
		return nil, err
	}
	return &contract.Verdict{OK: ok}, nil
}

func (inv *invocation) secretEqual(ctx context.Context, in *contract.SecretEqual) (*contract.Verdict, error) {
	if !inv.granted(in.Name) {
		return &contract.Verdict{Error: denied(fmt.Sprintf("the grant leaves secret %q out", in.Name))}, nil
	}
	if in.Value == "" {
		return &contract.Verdict{}, nil // never equal, whatever is kept
	}
	return verdict(valued(inv, in.Name, func(owner contract.ConnectionID, name string) (bool, error) {
		return inv.broker.opts.Secrets.Equal(ctx, owner, name, in.Value)
	}))
}

func (inv *invocation) hmacVerify(ctx context.Context, in *contract.HMACVerify) (*contract.Verdict, error) {
	if !inv.granted(in.Name) {
		return &contract.Verdict{Error: denied(fmt.Sprintf("the grant leaves secret %q out", in.Name))}, nil
	}
	if !knownHash(in.Algorithm) {
		return &contract.Verdict{Error: invalid("algorithm is sha256, sha1 or sha512")}, nil
	}
	message := in.Message
	if in.OverBody {
		message = inv.body
	}
	return verdict(valued(inv, in.Name, func(owner contract.ConnectionID, name string) (bool, error) {
		return inv.broker.opts.Secrets.HMACVerify(ctx, owner, name, in.Algorithm, message, in.MAC)
	}))
}

func (inv *invocation) hmacSign(ctx context.Context, in *contract.HMACSign) (*contract.HMACSignResult, error) {
	switch {
	case !inv.granted(in.Name):
		return &contract.HMACSignResult{Error: denied(fmt.Sprintf("the grant leaves secret %q out", in.Name))}, nil
	case !knownHash(in.Algorithm):
		return &contract.HMACSignResult{Error: invalid("algorithm is sha256, sha1 or sha512")}, nil
	}
	mac, err := valued(inv, in.Name, func(owner contract.ConnectionID, name string) ([]byte, error) {
		return inv.broker.opts.Secrets.HMACSign(ctx, owner, name, in.Algorithm, in.Message)
	})
	switch {
	case errors.Is(err, domain.ErrNotFound):
		return &contract.HMACSignResult{Error: notFound("the connection has no such secret")}, nil
	case err != nil:
		return nil, err
	}
	return &contract.HMACSignResult{MAC: mac}, nil
}

func knownHash(name string) bool { return name == "sha256" || name == "sha1" || name == "sha512" }
