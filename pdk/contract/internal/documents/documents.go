// Package documents lists the top-level documents of the contract, for the generator of
// schemas and for tests. Nothing that runs in a guest imports it.
package documents

import (
	"reflect"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Document is one JSON document that crosses the border, or stands in an event.
type Document interface {
	contract.Appendable
	contract.Decodable
}

// All returns a fresh value of every top-level document: the inputs and outputs of the
// exports, the arguments and results of the host functions, and the event.
func All() []Document {
	return []Document{
		new(contract.ReceiveInput), new(contract.ReceiveOutput), new(contract.RouteInput), new(contract.RouteOutput),
		new(contract.SendMessageInput), new(contract.EditMessageInput), new(contract.DeleteMessageInput),
		new(contract.SendTypingInput), new(contract.SendReceiptInput), new(contract.SetupConnectionInput),
		new(contract.TeardownConnectionInput), new(contract.RefreshCredentialsInput), new(contract.CheckHealthInput),
		new(contract.AuthorizeURLInput), new(contract.ExchangeCodeInput), new(contract.ReconcileInput),
		new(contract.LookupContactInput), new(contract.CommandOutput), new(contract.Event),

		new(contract.HTTPRequest), new(contract.HTTPResult), new(contract.HTTPCachedGet), new(contract.KVGet),
		new(contract.KVGetResult), new(contract.KVPut), new(contract.KVDelete), new(contract.KVList),
		new(contract.KVListResult), new(contract.Done), new(contract.RouteKey), new(contract.SecretEqual),
		new(contract.HMACVerify), new(contract.Verdict), new(contract.HMACSign), new(contract.HMACSignResult),
		new(contract.JWTVerify), new(contract.JWTVerifyResult), new(contract.JWTSign), new(contract.JWTSignResult),
		new(contract.SignatureVerify), new(contract.SignatureVerdict), new(contract.CredentialsPut), new(contract.MediaLink),
		new(contract.MediaLinkResult), new(contract.MediaFetch), new(contract.MediaFetchResult), new(contract.MediaPut),
		new(contract.LogLine),
	}
}

// Reachable returns every struct of the contract that a top-level document is made of,
// the documents included, by name.
func Reachable() map[string]reflect.Type {
	found := make(map[string]reflect.Type)
	for _, d := range All() {
		collect(reflect.TypeOf(d), found)
	}
	return found
}

func collect(t reflect.Type, found map[string]reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		collect(t.Elem(), found)
	case reflect.Struct:
		if t.PkgPath() != reflect.TypeFor[contract.Event]().PkgPath() || found[t.Name()] != nil {
			return
		}
		found[t.Name()] = t
		for i := range t.NumField() {
			collect(t.Field(i).Type, found)
		}
	}
}
