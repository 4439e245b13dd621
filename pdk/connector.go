package pdk

import "github.com/seed75a60ee1/patchbay/pdk/contract"

// Connector is the least that a plugin is: it understands what its platform sends.
//
// A method that returns an error failed: the host keeps what it was given and tries
// again later, and nothing of the output takes effect. What the platform did wrong is
// not an error but a rejection in the output ([contract.Rejection]), and what it refused
// is a failure in it ([contract.Failure]). Error texts are kept and shown to operators,
// so they must not contain secrets or people's data.
type Connector interface {
	// Receive verifies and parses one delivery. It must not call out: HTTPCachedGet is
	// the only request it may make.
	Receive(h Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error)
}

// Router is the ability to find the connection for a delivery that came to an address
// which many connections share.
type Router interface {
	// Route returns a key that this plugin registered with RoutePut.
	Route(h Host, in *contract.RouteInput) (*contract.RouteOutput, error)
}

// The abilities below carry out commands. A command runs at least once: after a crash it
// is repeated, with the same CommandInfo.ID. A nil output is the same as an empty one.
type (
	// MessageSender is the ability to send a message. Its output has Sent or Failure.
	MessageSender interface {
		SendMessage(h Host, in *contract.SendMessageInput) (*contract.CommandOutput, error)
	}

	// MessageEditor is the ability to change a message that was sent.
	MessageEditor interface {
		EditMessage(h Host, in *contract.EditMessageInput) (*contract.CommandOutput, error)
	}

	// MessageDeleter is the ability to take back a message that was sent.
	MessageDeleter interface {
		DeleteMessage(h Host, in *contract.DeleteMessageInput) (*contract.CommandOutput, error)
	}

	// TypingSender is the ability to show that somebody types.
	TypingSender interface {
		SendTyping(h Host, in *contract.SendTypingInput) (*contract.CommandOutput, error)
	}

	// ReceiptSender is the ability to report what became of a message the platform sent.
	ReceiptSender interface {
		SendReceipt(h Host, in *contract.SendReceiptInput) (*contract.CommandOutput, error)
	}

	// ConnectionSetter is the ability to set up a connection. Its output has Setup and
	// Capabilities.
	ConnectionSetter interface {
		SetupConnection(h Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error)
	}

	// ConnectionEnder is the ability to tell the platform that a connection ends.
	ConnectionEnder interface {
		TeardownConnection(h Host, in *contract.TeardownConnectionInput) (*contract.CommandOutput, error)
	}

	// CredentialsRefresher is the ability to renew a token set, with CredentialsPut.
	CredentialsRefresher interface {
		RefreshCredentials(h Host, in *contract.RefreshCredentialsInput) (*contract.CommandOutput, error)
	}

	// HealthChecker is the ability to ask the platform whether a connection works. Its
	// output has Health or Failure.
	HealthChecker interface {
		CheckHealth(h Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error)
	}

	// Authorizer is the ability to send a person to the platform's consent page. Its
	// output has URL.
	Authorizer interface {
		AuthorizeURL(h Host, in *contract.AuthorizeURLInput) (*contract.CommandOutput, error)
	}

	// CodeExchanger is the ability to turn an authorisation code into a token set, with
	// CredentialsPut.
	CodeExchanger interface {
		ExchangeCode(h Host, in *contract.ExchangeCodeInput) (*contract.CommandOutput, error)
	}

	// Reconciler is the ability to carry out what the connector itself asked for with a
	// [contract.CommandRequest].
	Reconciler interface {
		Reconcile(h Host, in *contract.ReconcileInput) (*contract.CommandOutput, error)
	}

	// ContactLookup is the ability to ask the platform for a person's details.
	ContactLookup interface {
		LookupContact(h Host, in *contract.LookupContactInput) (*contract.CommandOutput, error)
	}
)
