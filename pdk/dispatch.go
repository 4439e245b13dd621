package pdk

import (
	"errors"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// ErrNoAbility is returned by [Invoke] for an export that the connector has no method for.
var ErrNoAbility = errors.New("pdk: the connector has no such ability")

// Abilities lists the exports that c has methods for, in the order of [contract.Exports].
func Abilities(c Connector) []contract.Export {
	var list []contract.Export
	for _, a := range abilities {
		if a.bind(c) != nil {
			list = append(list, a.export)
		}
	}
	return list
}

// Invoke calls the method of c that stands behind an export: it decodes the input,
// calls, and encodes the output. It is what the exports of a plugin do, and works
// natively with any Host. A panic of the method passes through. Nobody may write to input
// any more: what the method gets may be parts of it.
func Invoke(c Connector, h Host, export contract.Export, input []byte) (output []byte, err error) {
	out, err := invoke(c, h, export, input)
	if err != nil {
		return nil, err
	}
	return contract.Marshal(out), nil
}

// invoke is Invoke with the output not encoded yet.
func invoke(c Connector, h Host, export contract.Export, input []byte) (out contract.Appendable, err error) {
	for _, a := range abilities {
		if a.export != export {
			continue
		}
		if method := a.bind(c); method != nil {
			return method(h, input)
		}
	}
	return nil, ErrNoAbility
}

// method is one method of a connector, over an encoded document.
type method func(h Host, input []byte) (out contract.Appendable, err error)

// ability is one export, and how to find its method: bind returns nil if there is none.
type ability struct {
	export contract.Export
	bind   func(Connector) method
}

// abilities holds every export, in the order of [contract.Exports].
var abilities = []ability{
	{contract.ExportReceive, bind(Connector.Receive)},
	{contract.ExportRoute, bind(Router.Route)},
	{contract.ExportSendMessage, bind(MessageSender.SendMessage)},
	{contract.ExportEditMessage, bind(MessageEditor.EditMessage)},
	{contract.ExportDeleteMessage, bind(MessageDeleter.DeleteMessage)},
	{contract.ExportSendTyping, bind(TypingSender.SendTyping)},
	{contract.ExportSendReceipt, bind(ReceiptSender.SendReceipt)},
	{contract.ExportSetupConnection, bind(ConnectionSetter.SetupConnection)},
	{contract.ExportTeardownConnection, bind(ConnectionEnder.TeardownConnection)},
	{contract.ExportRefreshCredentials, bind(CredentialsRefresher.RefreshCredentials)},
	{contract.ExportCheckHealth, bind(HealthChecker.CheckHealth)},
	{contract.ExportAuthorizeURL, bind(Authorizer.AuthorizeURL)},
	{contract.ExportExchangeCode, bind(CodeExchanger.ExchangeCode)},
	{contract.ExportReconcile, bind(Reconciler.Reconcile)},
	{contract.ExportLookupContact, bind(ContactLookup.LookupContact)},
}

// input and output are pointers to documents.
type (
	input[T any] interface {
		*T
		contract.Decodable
	}
	output[T any] interface {
		*T
		contract.Appendable
	}
)

// bind makes a finder of methods from a method expression of an ability's interface A.
func bind[A, I, O any, In input[I], Out output[O]](call func(A, Host, In) (Out, error)) func(Connector) method {
	return func(c Connector) method {
		able, ok := c.(A)
		if !ok {
			return nil
		}
		return func(h Host, input []byte) (contract.Appendable, error) {
			in := In(new(I))
			if err := decode(input, in); err != nil {
				return nil, err
			}
			out, err := call(able, h, in)
			if err != nil {
				return nil, err
			}
			if out == nil {
				out = new(O)
			}
			return out, nil
		}
	}
}
