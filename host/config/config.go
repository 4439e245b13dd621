// Package config reads how a host is set up.
//
// A value comes from the first of these that has one: a flag, an environment variable, the
// YAML file, the default. The field "ingress.listen" is ingress: {listen: …} in the file,
// PATCHBAY_INGRESS_LISTEN in the environment and --ingress.listen on the command line.
// Durations are written "2.5s" or "24h", sizes in bytes "65536" or "64KiB".
//
// [Load] reports everything that is wrong at once. [Describe] lists every field with what
// stands beside it in [Config], so that the documentation cannot differ from the code.
package config

import (
	"runtime"
	"time"
)

// Mode says whom a host is for.
type Mode string

// The modes.
const (
	// Production wants a reviewer to approve each plugin.
	Production Mode = "production"
	// Development approves whatever is dropped in.
	Development Mode = "development"
)

// Config is how a host is set up. Each field says in its tags what it is called, its
// default, its bounds and what it is for.
type Config struct {
	Data        string      `koanf:"data" default:"data" desc:"Folder for everything the host keeps: store, keys, attachments, plugins."`
	Mode        Mode        `koanf:"mode" default:"production" oneof:"production development" desc:"development approves every plugin that is dropped in; never use it with plugins of strangers."`
	Ingress     Ingress     `koanf:"ingress"`
	Management  Management  `koanf:"management"`
	Receive     Receive     `koanf:"receive"`
	Command     Command     `koanf:"command"`
	Jobs        Jobs        `koanf:"jobs"`
	Credentials Credentials `koanf:"credentials"`
	Subscribers Subscribers `koanf:"subscribers"`
	Egress      Egress      `koanf:"egress"`
	Media       Media       `koanf:"media"`
	Sandbox     Sandbox     `koanf:"sandbox"`
	Plugins     Plugins     `koanf:"plugins"`
	Limits      Limits      `koanf:"limits"`
	Retention   Retention   `koanf:"retention"`
	Apps        Apps        `koanf:"apps"`
	Health      Health      `koanf:"health"`
	Store       Store       `koanf:"store"`
	Shutdown    Shutdown    `koanf:"shutdown"`
	Log         Log         `koanf:"log"`
}

// Ingress is where platforms deliver.
type Ingress struct {
	Listen         string        `koanf:"listen" default:"127.0.0.1:8080" check:"address" desc:"Address that platforms reach, directly or through a proxy that ends TLS."`
	PublicURL      string        `koanf:"public_url" check:"url" desc:"Origin of the URLs that platforms are given, such as https://hooks.example.com; empty means http:// and the address listened on."`
	MaxBodyBytes   int64         `koanf:"max_body_bytes" default:"1MiB" min:"1KiB" max:"64MiB" unit:"bytes" desc:"Largest body of a delivery."`
	MaxHeaderBytes int           `koanf:"max_header_bytes" default:"16KiB" min:"4KiB" max:"256KiB" unit:"bytes" desc:"Largest header of a request."`
	ReadTimeout    time.Duration `koanf:"read_timeout" default:"10s" min:"100ms" max:"5m" desc:"Time to read a whole request."`
	WriteTimeout   time.Duration `koanf:"write_timeout" default:"30s" min:"100ms" max:"10m" desc:"Time to write a whole answer, downloads of attachments included."`
	IdleTimeout    time.Duration `koanf:"idle_timeout" default:"60s" min:"100ms" max:"10m" desc:"How long an idle connection is kept open."`
	MaxInFlight    int           `koanf:"max_in_flight" default:"0" min:"0" max:"65536" desc:"How many deliveries are worked on at a time; those of one endpoint get half of the places at most. 0 means 128 for each core."`
	MaxWaiting     int           `koanf:"max_waiting" default:"0" min:"0" max:"1048576" desc:"How many more deliveries wait for their turn; further ones are answered 503. 0 means four times max_in_flight."`
	MaxWait        time.Duration `koanf:"max_wait" default:"2s" min:"1ms" max:"1m" desc:"How long a delivery waits for its turn before it is answered 503."`
	MaxHeldBytes   int64         `koanf:"max_held_bytes" default:"256MiB" min:"1MiB" max:"64GiB" unit:"bytes" desc:"Most bytes of bodies that are held at a time; further ones are answered 503."`
	MaxTime        time.Duration `koanf:"max_time" default:"10s" min:"100ms" max:"5m" desc:"Time for one delivery, waits for the disk included; then it is answered 503. If not set, at least twice receive.deadline."`
}

// Management is where people and programs of ours operate the host.
type Management struct {
	Listen string `koanf:"listen" default:"127.0.0.1:8081" check:"address" desc:"Address of the management API; keep it away from the internet."`
}

// Receive bounds what a platform waits for.
type Receive struct {
	Deadline        time.Duration `koanf:"deadline" default:"2.5s" min:"50ms" max:"30s" desc:"Time for a plugin to take one delivery."`
	MaxRepeatWindow time.Duration `koanf:"max_repeat_window" default:"10m" min:"0s" max:"24h" desc:"Longest time for which a plugin may have identical bodies counted as repeats; 0 compares none."`
}

// Command bounds what runs in the background.
type Command struct {
	Deadline time.Duration `koanf:"deadline" default:"30s" min:"100ms" max:"10m" desc:"Time for a plugin to carry out one command."`
}

// Jobs says how durable work is done.
type Jobs struct {
	Workers       int           `koanf:"workers" default:"16" min:"1" max:"1024" desc:"How many jobs run at once."`
	MaxAttempts   int           `koanf:"max_attempts" default:"1000" min:"1" max:"100000" desc:"How often a job is run before it is parked. With the other defaults its age parks it first."`
	MaxFaults     int           `koanf:"max_faults" default:"12" min:"1" max:"1000" desc:"How often a job is run in which the plugin itself breaks down before it is parked."`
	MaxAge        time.Duration `koanf:"max_age" default:"24h" min:"1m" max:"720h" desc:"How old a job may be when it is run again."`
	BaseDelay     time.Duration `koanf:"base_delay" default:"1s" min:"10ms" max:"10m" desc:"Longest wait before the second run of a job; it doubles from run to run."`
	MaxDelay      time.Duration `koanf:"max_delay" default:"5m" min:"10ms" max:"24h" desc:"Longest wait between two runs of a job."`
	MaxRetryAfter time.Duration `koanf:"max_retry_after" default:"6h" min:"1s" max:"168h" desc:"Longest wait that a platform may ask for."`
}

// Credentials says how token sets are kept fresh.
type Credentials struct {
	Cooldown    time.Duration `koanf:"cooldown" default:"30s" min:"100ms" max:"1h" desc:"Wait before a token set is renewed again after a renewal that failed; it doubles from failure to failure."`
	MaxCooldown time.Duration `koanf:"max_cooldown" default:"15m" min:"1s" max:"24h" desc:"Longest wait between two renewals of a token set that fail."`
	GiveUpAfter time.Duration `koanf:"give_up_after" default:"96h" min:"1m" max:"2160h" desc:"How long renewals of a token set may fail before its connection needs somebody to act."`
}

// Subscribers says how events are sent to the URLs that tenants named.
type Subscribers struct {
	Window       int           `koanf:"window" default:"64" min:"1" max:"1024" desc:"How many events of one subscriber are under way at once, each of another conversation."`
	Timeout      time.Duration `koanf:"timeout" default:"15s" min:"100ms" max:"1m" desc:"Time for a subscriber to answer."`
	MaxAge       time.Duration `koanf:"max_age" default:"72h" min:"1m" max:"720h" desc:"How long an event that a subscriber does not take is sent again before it is parked."`
	BaseDelay    time.Duration `koanf:"base_delay" default:"10s" min:"10ms" max:"10m" desc:"Longest wait before the second attempt; it doubles from attempt to attempt."`
	MaxDelay     time.Duration `koanf:"max_delay" default:"1h" min:"10ms" max:"24h" desc:"Longest wait between two attempts."`
	DisableAfter time.Duration `koanf:"disable_after" default:"120h" min:"1m" max:"720h" desc:"How long a subscriber may take nothing before it gets no more."`
}

// Egress bounds what plugins send.
type Egress struct {
	CAFile           string        `koanf:"ca_file" desc:"PEM file of certificate authorities to trust beside the system's."`
	DefaultTimeout   time.Duration `koanf:"default_timeout" default:"10s" min:"100ms" max:"5m" desc:"Time for a request that names no limit."`
	MaxTimeout       time.Duration `koanf:"max_timeout" default:"60s" min:"100ms" max:"10m" desc:"Longest time for any request."`
	MaxRequestBytes  int64         `koanf:"max_request_bytes" default:"1MiB" min:"1KiB" max:"64MiB" unit:"bytes" desc:"Largest body of a request, secrets filled in."`
	MaxResponseBytes int64         `koanf:"max_response_bytes" default:"1MiB" min:"1KiB" max:"64MiB" unit:"bytes" desc:"How much of an answer's body a plugin gets to see."`
	BreakerFailures  int           `koanf:"breaker_failures" default:"8" min:"1" max:"1000" desc:"How many requests to a destination must fail, four out of five, for it to be left alone for a while."`
	BreakerDelay     time.Duration `koanf:"breaker_delay" default:"15s" min:"100ms" max:"1h" desc:"How long a destination that fails is left alone before it is tried again."`
	Resolve          string        `koanf:"resolve" check:"targets" list:"," desc:"Addresses that are dialled without asking DNS, as HOST:PORT=IP:PORT; private ones must still be allowed at the connection. For tests, and for platforms inside one's own network."`
	Cached           Cached        `koanf:"cached"`
	MaxPause         time.Duration `koanf:"max_pause" default:"1h" min:"1s" max:"24h" desc:"Longest time for which a destination is left alone because it says so."`
}

// Cached bounds the answers that are kept for all connections of a plugin, such as signing
// certificates.
type Cached struct {
	MaxBytes   int64         `koanf:"max_bytes" default:"16KiB" min:"1KiB" max:"1MiB" unit:"bytes" desc:"Largest answer that is kept; a larger one is refused."`
	TotalBytes int64         `koanf:"total_bytes" default:"4MiB" min:"64KiB" max:"1GiB" unit:"bytes" desc:"Most that is kept of all answers; what was used longest ago goes first."`
	Life       time.Duration `koanf:"life" default:"24h" min:"1s" max:"24h" desc:"How long an answer of status 200 is kept; any other is for a minute."`
	PerMinute  int           `koanf:"per_minute" default:"10" min:"1" max:"1000" desc:"How often one plugin may have one host asked in a minute."`
}

// Media bounds attachments.
type Media struct {
	MaxBytes int64         `koanf:"max_bytes" default:"50MiB" min:"1KiB" max:"2GiB" unit:"bytes" desc:"Largest attachment."`
	LinkTTL  time.Duration `koanf:"link_ttl" default:"24h" min:"1m" max:"720h" desc:"How long a link to an attachment works."`
}

// Sandbox bounds what a plugin uses.
type Sandbox struct {
	MemoryPages int   `koanf:"memory_pages" default:"512" min:"16" max:"65536" desc:"Most memory of one invocation, in pages of 64 KiB."`
	PoolBytes   int64 `koanf:"pool_bytes" default:"1GiB" min:"64MiB" max:"1024GiB" unit:"bytes" desc:"Most memory of all invocations together, instances that wait for the next one included. Invocations beyond it wait, tenants in turn."`
	FuelMillion int   `koanf:"fuel_million" default:"4000" min:"1" max:"1000000" desc:"Most that one invocation may compute, in millions of units of fuel: about as many additions."`
}

// Plugins says where plugins come from.
type Plugins struct {
	Dir          string        `koanf:"dir" default:"plugins" desc:"Folder that plugins are dropped into; empty means that there is none."`
	AutoApprove  bool          `koanf:"auto_approve" default:"false" desc:"Grant every plugin all it asks for; on by itself in mode development, and refused in production."`
	PollInterval time.Duration `koanf:"poll_interval" default:"2s" min:"100ms" max:"1h" desc:"How often the folder is looked at besides its change notices."`
}

// Limits bounds what one workspace uses of the host, where an operator has not set another
// limit for it. 0 means no limit.
type Limits struct {
	DeliveriesPerSecond  int64 `koanf:"deliveries_per_second" default:"0" min:"0" max:"1000000" desc:"Deliveries of one workspace, sustained; twice as many may come at once. 0 means no limit."`
	CommandsPerSecond    int64 `koanf:"commands_per_second" default:"0" min:"0" max:"1000000" desc:"Commands that one workspace asks for, sustained; twice as many may come at once. 0 means no limit."`
	BytesPerSecond       int64 `koanf:"bytes_per_second" default:"0" min:"0" max:"64GiB" unit:"bytes" desc:"Bodies of deliveries and commands of one workspace. 0 means no limit."`
	FuelMillionPerSecond int64 `koanf:"fuel_million_per_second" default:"0" min:"0" max:"1000000" desc:"What the plugins of one workspace compute, in millions of units of fuel. 0 means no limit."`
	DeliveriesInFlight   int   `koanf:"deliveries_in_flight" default:"0" min:"0" max:"65536" desc:"Deliveries of one workspace that are worked on at a time. 0 means three quarters of ingress.max_in_flight."`
	QueuedJobs           int64 `koanf:"queued_jobs" default:"1000000" min:"0" max:"1000000000" desc:"Jobs of one workspace that wait: further commands are refused, and deliveries at twice as many. 0 means no limit."`
	Connections          int64 `koanf:"connections" default:"20000" min:"0" max:"1000000000" desc:"Connections of one workspace. 0 means no limit."`
	Subscribers          int64 `koanf:"subscribers" default:"100" min:"0" max:"1000000000" desc:"Subscribers of one workspace. 0 means no limit."`
	Bridges              int64 `koanf:"bridges" default:"1000" min:"0" max:"1000000000" desc:"Bridges of one workspace. 0 means no limit."`
}

// Retention says how long data is kept whose workspace does not say itself.
type Retention struct {
	PayloadDays int64         `koanf:"payload_days" default:"30" min:"-1" max:"36500" desc:"Age at which bodies and recordings are removed. -1 keeps them for ever."`
	EventDays   int64         `koanf:"event_days" default:"90" min:"-1" max:"36500" desc:"Age at which events, messages, deliveries, ended commands and unused attachments are removed; parked commands at twice that. -1 keeps them for ever."`
	DedupeDays  int64         `koanf:"dedupe_days" default:"180" min:"-1" max:"36500" desc:"Age at which a repeat of a delivery, or of an Idempotency-Key, is not known any more; never less than event_days. -1 keeps the keys for ever."`
	MaxBytes    int64         `koanf:"max_bytes" default:"0" min:"0" max:"1048576GiB" unit:"bytes" desc:"Most bytes of bodies and recordings of one workspace; beyond them the oldest are removed, whatever their age. 0 means no bound."`
	Interval    time.Duration `koanf:"interval" default:"15m" min:"1s" max:"24h" desc:"Time between two passes that remove what is too old."`
	Batch       int           `koanf:"batch" default:"100" min:"1" max:"1000" desc:"Most records that are removed in one transaction."`
}

func (r Retention) conflicts(report func(name, why, allowed string)) {
	if r.PayloadDays == 0 || r.EventDays == 0 || r.DedupeDays == 0 {
		report("retention", "an age is 0, so that everything would be removed at once", "1 to 36500 days, or -1 to keep it for ever")
	}
	if r.DedupeDays > 0 && (r.DedupeDays < r.EventDays || r.EventDays < 0) {
		report("retention.dedupe_days", "it is less than retention.event_days, so that a repeat of a delivery that is kept would not be known",
			"-1, or at least retention.event_days")
	}
}

// Health says how connections are probed.
type Health struct {
	Interval time.Duration `koanf:"interval" default:"5m" min:"0s" max:"24h" desc:"Time between two questions to a platform whether a connection works, where its plugin can ask; 0 asks never."`
	AtOnce   int           `koanf:"at_once" default:"8" min:"1" max:"256" desc:"How many such questions are asked at a time; those of one workspace are half of them at most."`
	Failures int           `koanf:"failures" default:"3" min:"1" max:"100" desc:"How many of them in a row must fail for a connection to be degraded."`
}

// Apps bounds what waits at the addresses of apps for a connection to claim it.
type Apps struct {
	MaxParked            int64         `koanf:"max_parked" default:"10000" min:"1" max:"10000000" desc:"Most deliveries of one app that wait for a connection to claim them; further ones are answered 503."`
	MaxParkedBytes       int64         `koanf:"max_parked_bytes" default:"64MiB" min:"64KiB" max:"64GiB" unit:"bytes" desc:"Most bytes of the deliveries of one app that wait."`
	MaxParkedPerKey      int64         `koanf:"max_parked_per_key" default:"1000" min:"1" max:"1000000" desc:"Most deliveries for one account that wait, so that one account does not take all the room."`
	MaxParkedBytesPerKey int64         `koanf:"max_parked_bytes_per_key" default:"16MiB" min:"64KiB" max:"64GiB" unit:"bytes" desc:"Most bytes of the deliveries for one account that wait."`
	MaxParkTime          time.Duration `koanf:"max_park_time" default:"720h" min:"1s" max:"720h" desc:"Longest time for which a delivery waits to be claimed, whatever its plugin asks for."`
	ExpireInterval       time.Duration `koanf:"expire_interval" default:"30s" min:"100ms" max:"1h" desc:"How often deliveries are given up whose time is over."`
}

// Store says how the store's file is looked after.
type Store struct {
	CompactOnStartAbove int `koanf:"compact_on_start_above" default:"0" min:"0" max:"99" desc:"Share of the store's file, in percent, that may hold nothing, and 64 MiB at least, before the file is written anew at start, which takes time. 0 means never."`
}

// Shutdown says how the host stops.
type Shutdown struct {
	Grace time.Duration `koanf:"grace" default:"20s" min:"0s" max:"10m" desc:"Time for what runs to end."`
}

// Log says what is logged.
type Log struct {
	Level  string `koanf:"level" default:"info" oneof:"debug info warn error" desc:"Least level that is logged."`
	Format string `koanf:"format" default:"text" oneof:"text json" desc:"How a line is written."`
}

// complete fills in what depends on other fields. Own tells which fields somebody set.
func (c *Config) complete(own func(name string) bool) {
	if c.Mode == Development && !own("plugins.auto_approve") {
		c.Plugins.AutoApprove = true
	}
	if !own("ingress.max_time") {
		c.Ingress.MaxTime = max(c.Ingress.MaxTime, 2*c.Receive.Deadline)
	}
	if c.Ingress.MaxInFlight == 0 {
		c.Ingress.MaxInFlight = 128 * runtime.GOMAXPROCS(0)
	}
	if c.Ingress.MaxWaiting == 0 {
		c.Ingress.MaxWaiting = 4 * c.Ingress.MaxInFlight
	}
	if c.Limits.DeliveriesInFlight == 0 {
		c.Limits.DeliveriesInFlight = max(1, c.Ingress.MaxInFlight*3/4)
	}
}

// conflicts finds fields that do not go together.
func (c *Config) conflicts(report func(name, why, allowed string)) {
	if c.Data == "" {
		report("data", "it is empty", "the path of a folder")
	}
	if c.Mode == Production && c.Plugins.AutoApprove {
		report("plugins.auto_approve", "in production a reviewer approves plugins", "false, or true in mode development")
	}
	if c.Egress.DefaultTimeout > c.Egress.MaxTimeout {
		report("egress.default_timeout", "it is more than egress.max_timeout", "at most "+c.Egress.MaxTimeout.String())
	}
	if c.Subscribers.BaseDelay > c.Subscribers.MaxDelay {
		report("subscribers.base_delay", "it is more than subscribers.max_delay", "at most "+c.Subscribers.MaxDelay.String())
	}
	if c.Credentials.Cooldown > c.Credentials.MaxCooldown {
		report("credentials.cooldown", "it is more than credentials.max_cooldown", "at most "+c.Credentials.MaxCooldown.String())
	}
	if c.Jobs.BaseDelay > c.Jobs.MaxDelay {
		report("jobs.base_delay", "it is more than jobs.max_delay", "at most "+c.Jobs.MaxDelay.String())
	}
	c.Retention.conflicts(report)
	if c.Receive.Deadline > c.Ingress.WriteTimeout {
		report("receive.deadline", "it is more than ingress.write_timeout, so that answers would be cut off",
			"at most "+c.Ingress.WriteTimeout.String())
	}
	if c.Receive.Deadline > c.Ingress.MaxTime {
		report("receive.deadline", "it is more than ingress.max_time, so that a plugin would never have it",
			"at most "+c.Ingress.MaxTime.String())
	}
	if c.Ingress.Listen == c.Management.Listen && portOf(c.Ingress.Listen) != "0" {
		report("management.listen", "it is ingress.listen", "another port")
	}
}
