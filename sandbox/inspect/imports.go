package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/sandbox/binary"
	"github.com/seed75a60ee1/patchbay/sandbox/kernel"
)

const (
	hostModule = contract.ImportModule
	wasiModule = "wasi_snapshot_preview1"
	bulkDoes   = "pass bytes between the plugin and the host"
)

// hostFunction says what a host function lets a plugin do, and which capability that is.
type hostFunction struct {
	capability CapabilityName
	does       string
}

var hostFunctions = map[contract.HostFunction]hostFunction{
	contract.HostHTTPSend:        {Network, "send a request to a host that was granted"},
	contract.HostHTTPCachedGet:   {Network, "read a public document of a host that was granted"},
	contract.HostKVGet:           {State, "read what it keeps for its connection"},
	contract.HostKVPut:           {State, "keep something for its connection"},
	contract.HostKVDelete:        {State, "forget something it keeps for its connection"},
	contract.HostKVList:          {State, "list what it keeps for its connection"},
	contract.HostRoutePut:        {Routing, "name a key by which deliveries find its connection"},
	contract.HostRouteDelete:     {Routing, "take such a key back"},
	contract.HostSecretEqual:     {Secrets, "compare a text with a secret that was granted"},
	contract.HostHMACVerify:      {Secrets, "verify an HMAC with a secret that was granted"},
	contract.HostHMACSign:        {Secrets, "sign with a secret that was granted (HMAC)"},
	contract.HostJWTVerify:       {Secrets, "verify a JWT with a secret that was granted"},
	contract.HostJWTSign:         {Secrets, "sign a JWT with a secret that was granted"},
	contract.HostSignatureVerify: {Signatures, "verify a signature with a public key of its own"},
	contract.HostCredentialsPut:  {Credentials, "hand over tokens for the host to keep"},
	contract.HostMediaFetch:      {Media, "have an attachment fetched from a host that was granted"},
	contract.HostMediaPut:        {Media, "have an attachment sent to a host that was granted"},
	contract.HostMediaLink:       {Media, "make a link to an attachment that works for a while"},
	contract.HostDeliveryBody:    {Delivery, "read the body of the delivery it was called for"},
}

// toNetwork are the host functions that lead out, and want an egress rule.
var toNetwork = []string{
	string(contract.HostHTTPSend), string(contract.HostHTTPCachedGet), string(contract.HostMediaFetch), string(contract.HostMediaPut),
}

// toSecrets are the host functions that use a secret by name.
var toSecrets = []string{
	string(contract.HostSecretEqual), string(contract.HostHMACVerify), string(contract.HostHMACSign),
	string(contract.HostJWTVerify), string(contract.HostJWTSign),
}

// wasiDoes says what comes of a function of WASI in the sandbox, by the beginning of
// its name, the longer first.
var wasiDoes = []struct{ prefix, does string }{
	{"args_", "read arguments: there are none"},
	{"environ_", "read the environment: it is empty"},
	{"clock_", "read the clock of the invocation"},
	{"random_get", "read random bytes of the invocation"},
	{"poll_oneoff", "sleep, which takes no time"},
	{"sched_yield", "let others run: there are none"},
	{"proc_", "end the call"},
	{"fd_write", "write a line to the log"},
	{"fd_", "ask about a file: there are none"},
	{"path_", "open or change a file: there are none"},
	{"sock_", "use a socket: there are none"},
}

// replaced are functions of Extism that no plugin gets here.
var replaced = map[string]struct{ why, fix string }{
	"http_request": {"it would reach any host the process can", "use http_send of " + hostModule + ", which is granted by host, method and path"},
	"var_get":      {"every call runs as if it were the first, so that a variable would never have a value", "use kv_get of " + hostModule},
	"var_set":      {"every call runs as if it were the first, so that the value would be lost", "use kv_put of " + hostModule},
}

// judge fills in whose function an import is, what it does, and why it is refused.
func (i *Import) judge() {
	i.Origin = FromNowhere
	if i.Kind != binary.KindFunction.String() {
		i.Refused, i.Fix = "it is a "+i.Kind+", and only functions are offered", "define it in the module"
		return
	}
	switch i.Module {
	case hostModule:
		i.judgeHost()
	case kernel.EnvModule:
		i.judgeKernel()
	case wasiModule:
		for _, w := range wasiDoes {
			if strings.HasPrefix(i.Name, w.prefix) {
				i.Origin, i.Does = FromWASI, w.does
				return
			}
		}
		i.Refused, i.Fix = "WASI preview 1 has no such function", "build for wasip1"
	default:
		i.Refused, i.Fix = "no such module is offered", "link that module into this one"
	}
}

func (i *Import) judgeHost() {
	if f, known := hostFunctions[contract.HostFunction(i.Name)]; known {
		i.Origin, i.Does = FromHost, f.does
		i.wants("(i64) -> i64")
		return
	}
	if n := slices.IndexFunc(kernel.Bulk(), named(i.Name)); n >= 0 {
		i.Origin, i.Does = FromKernel, bulkDoes
		i.wants(kernel.Bulk()[n].Type.String())
		return
	}
	i.Refused, i.Fix = contract.Version+" has no such host function", "use a host function of the contract"
}

func (i *Import) judgeKernel() {
	if no, known := replaced[i.Name]; known {
		i.Refused, i.Fix = no.why, no.fix
		return
	}
	n := slices.IndexFunc(kernel.Functions(), named(i.Name))
	if n < 0 {
		i.Refused, i.Fix = "Extism has no such function", "build with a current Extism PDK"
		return
	}
	i.Origin, i.Does = FromKernel, kernelDoes(i.Name)
	i.wants(kernel.Functions()[n].Type.String())
}

func named(name string) func(kernel.Function) bool {
	return func(f kernel.Function) bool { return f.Name == name }
}

// isBulk tells the functions that stand beside the host functions and are none.
func isBulk(name string) bool { return slices.ContainsFunc(kernel.Bulk(), named(name)) }

// wants refuses a signature that the host does not have.
func (i *Import) wants(signature string) {
	if i.Type != signature {
		i.Origin, i.Does = FromNowhere, ""
		i.Refused, i.Fix = fmt.Sprintf("it is imported as %s", i.Type), "declare it as "+signature
	}
}

func kernelDoes(name string) string {
	switch {
	case strings.HasPrefix(name, "input_"):
		return "read its input"
	case strings.HasPrefix(name, "log_"), name == "get_log_level":
		return "write to the log"
	case strings.HasPrefix(name, "http_"):
		return "ask about a request that cannot have been made"
	}
	switch name {
	case "output_set":
		return "set its output"
	case "error_set":
		return "report an error"
	case "config_get":
		return "read a setting of the connection"
	}
	return bulkDoes
}

// suspect tells the imports that a reviewer wants to see the way to.
func (i *Import) suspect() bool { return i.Origin == FromHost || i.Origin == FromNowhere }
