package contract

import "time"

// Message is the unit of conversation.
type Message struct {
	// ID is the host's name for the message. Plugins leave it empty in what they report.
	ID MessageID `json:"id,omitempty"`
	// PlatformID is the platform's name for it, where it has one.
	PlatformID PlatformMessageID `json:"platform_id,omitempty"`
	// Conversation is where it belongs.
	Conversation Conversation `json:"conversation"`
	// Author is who wrote it.
	Author Author `json:"author"`
	// Parts is what it says, in order; at most 64.
	Parts []Part `json:"parts"`
	// ReplyTo is the message it answers, by the platform's name; empty if none.
	ReplyTo PlatformMessageID `json:"reply_to,omitempty"`
	// SentAt is when its author sent it, RFC 3339; zero if the platform does not say.
	SentAt time.Time `json:"sent_at,omitzero"`
	// Status is how far it got. Plugins leave it empty in what they report.
	Status MessageStatus `json:"status,omitempty"`
}

// Conversation is a thread of messages on one connection.
type Conversation struct {
	// ID is the platform's name for it.
	ID ConversationID `json:"id"`
	// Title is what people see; may be empty.
	Title string `json:"title,omitempty"`
	// Group tells whether more than two people talk in it.
	Group bool `json:"group,omitempty"`
}

// Role says on which side of a conversation somebody stands.
type Role string

// The roles of an author.
const (
	// RoleCustomer is the person who is served.
	RoleCustomer Role = "customer"
	// RoleAgent is a person who serves.
	RoleAgent Role = "agent"
	// RoleBot is a program that serves.
	RoleBot Role = "bot"
	// RoleSystem is the platform or the host itself.
	RoleSystem Role = "system"
)

// Author is who wrote a message.
type Author struct {
	// Role is the author's side.
	Role Role `json:"role"`
	// Contact is what is known about the person; may be nearly empty.
	Contact Contact `json:"contact,omitzero"`
}

// Contact is what is known about a person. Every field may be empty.
type Contact struct {
	// ID is the platform's name for the person.
	ID ContactID `json:"id,omitempty"`
	// Name is the full name.
	Name string `json:"name,omitempty"`
	// Login is a unique account name.
	Login string `json:"login,omitempty"`
	// Phone is a telephone number, E.164 where known.
	Phone string `json:"phone,omitempty"`
	// Email is an electronic mail address.
	Email string `json:"email,omitempty"`
	// Avatar is a picture that the host keeps.
	Avatar MediaHandle `json:"avatar,omitempty"`
	// Attributes holds whatever else the platform says, one text each.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// PartKind says what a part is.
type PartKind string

// The kinds of part. Each has the field of the same name set in [Part].
const (
	// PartText is words.
	PartText PartKind = "text"
	// PartMedia is an attachment.
	PartMedia PartKind = "media"
	// PartChoice is a set of buttons, quick replies or list rows.
	PartChoice PartKind = "choice"
	// PartCard is one card.
	PartCard PartKind = "card"
	// PartCarousel is a row of cards.
	PartCarousel PartKind = "carousel"
	// PartLocation is a point on a map.
	PartLocation PartKind = "location"
	// PartContact is a person's details, passed on.
	PartContact PartKind = "contact"
	// PartRaw is something of the platform's that the unified model does not know.
	PartRaw PartKind = "raw"
)

// Part is one piece of a message: exactly the field that Kind names is set.
type Part struct {
	// Kind says which field is set.
	Kind PartKind `json:"kind"`
	// Fallback is plain text to show where the part cannot be shown. Every kind but
	// text must have one, except media, whose name serves.
	Fallback string `json:"fallback,omitempty"`
	// Text is set for PartText.
	Text *Text `json:"text,omitempty"`
	// Media is set for PartMedia.
	Media *Media `json:"media,omitempty"`
	// Choice is set for PartChoice.
	Choice *Choice `json:"choice,omitempty"`
	// Card is set for PartCard.
	Card *Card `json:"card,omitempty"`
	// Carousel is set for PartCarousel.
	Carousel *Carousel `json:"carousel,omitempty"`
	// Location is set for PartLocation.
	Location *Location `json:"location,omitempty"`
	// Contact is set for PartContact.
	Contact *Contact `json:"contact,omitempty"`
	// Raw is set for PartRaw.
	Raw *Raw `json:"raw,omitempty"`
}

// Text is words, as Markdown (CommonMark) with a plain form beside it.
type Text struct {
	// Markdown is the text as CommonMark; empty if only the plain form is known.
	Markdown string `json:"markdown,omitempty"`
	// Plain is the text without markup.
	Plain string `json:"plain"`
}

// MediaKind says how an attachment is meant to be shown.
type MediaKind string

// The kinds of media.
const (
	// MediaImage is a picture.
	MediaImage MediaKind = "image"
	// MediaAudio is sound.
	MediaAudio MediaKind = "audio"
	// MediaVoice is a voice note.
	MediaVoice MediaKind = "voice"
	// MediaVideo is a film.
	MediaVideo MediaKind = "video"
	// MediaFile is anything else.
	MediaFile MediaKind = "file"
)

// Media is an attachment, by handle. A plugin that received a link to one sets
// SourceURL and leaves Handle empty: the host fetches the bytes before the event
// goes out, and sets either Handle or Missing.
type Media struct {
	// Kind says how it is meant to be shown.
	Kind MediaKind `json:"kind"`
	// Handle is the host's name for the bytes.
	Handle MediaHandle `json:"handle,omitempty"`
	// Name is a file name without a path.
	Name string `json:"name,omitempty"`
	// MIME is the media type; the host sets it from the bytes.
	MIME string `json:"mime,omitempty"`
	// SizeBytes is the length, in bytes: as the platform claims, then as the host counted.
	SizeBytes int64 `json:"size_bytes,omitempty"`
	// SourceURL is where the host shall fetch the bytes; checked against the grant.
	// Never shown to tenants.
	SourceURL string `json:"source_url,omitempty"`
	// SourceHeaders holds header fields for that request, with placeholders as in
	// [HTTPRequest]. Never shown to tenants.
	SourceHeaders []Header `json:"source_headers,omitempty"`
	// Missing says, in one sentence, why there is no handle.
	Missing string `json:"missing,omitempty"`
}

// ChoiceStyle says how a choice is meant to be shown.
type ChoiceStyle string

// The styles of a choice.
const (
	// ChoiceButtons is buttons below the message.
	ChoiceButtons ChoiceStyle = "buttons"
	// ChoiceQuickReplies is suggestions that vanish once one is taken.
	ChoiceQuickReplies ChoiceStyle = "quick_replies"
	// ChoiceList is rows to pick from.
	ChoiceList ChoiceStyle = "list"
)

// Choice asks the reader to pick an option.
type Choice struct {
	// Style says how it is meant to be shown.
	Style ChoiceStyle `json:"style"`
	// Prompt is the text above the options; may be empty.
	Prompt string `json:"prompt,omitempty"`
	// Options is what can be picked, in order; at most 100.
	Options []Option `json:"options"`
}

// Option is one thing to pick.
type Option struct {
	// ActionID comes back in a postback event when the option is picked.
	ActionID string `json:"action_id"`
	// Label is what people see.
	Label string `json:"label"`
	// Description is a second line; may be empty.
	Description string `json:"description,omitempty"`
	// URL is opened instead of coming back, if set.
	URL string `json:"url,omitempty"`
}

// Card is a picture, a title, words and options.
type Card struct {
	// Title is the heading.
	Title string `json:"title"`
	// Body is the text below; may be empty.
	Body string `json:"body,omitempty"`
	// Image is the picture; nil if none.
	Image *Media `json:"image,omitempty"`
	// Options is what can be picked, in order.
	Options []Option `json:"options,omitempty"`
}

// Carousel is a row of cards.
type Carousel struct {
	// Cards is the row, in order.
	Cards []Card `json:"cards"`
}

// Location is a point on a map (WGS 84).
type Location struct {
	// LatitudeE7 is the latitude in degrees times 10,000,000, north positive.
	LatitudeE7 int64 `json:"latitude_e7"`
	// LongitudeE7 is the longitude in degrees times 10,000,000, east positive.
	LongitudeE7 int64 `json:"longitude_e7"`
	// Name is what the place is called; may be empty.
	Name string `json:"name,omitempty"`
	// Address is a postal address; may be empty.
	Address string `json:"address,omitempty"`
}

// Raw is something of the platform's that the unified model does not know.
type Raw struct {
	// Kind is the platform's word for it.
	Kind string `json:"kind"`
	// JSON is the platform's document; any JSON value.
	JSON RawJSON `json:"json,omitempty"`
}

// MessageStatus is how far a message got. Later ones imply the earlier.
type MessageStatus string

// The statuses of a message.
const (
	// MessageQueued means that the host keeps it and has not sent it.
	MessageQueued MessageStatus = "queued"
	// MessageSent means that the platform accepted it.
	MessageSent MessageStatus = "sent"
	// MessageDelivered means that the platform says it was processed or delivered.
	MessageDelivered MessageStatus = "delivered"
	// MessageRead means that somebody read it.
	MessageRead MessageStatus = "read"
	// MessageFailed means that it will not be sent again by itself.
	MessageFailed MessageStatus = "failed"
)

// PartFate says what became of one part of a message that was sent.
type PartFate string

// The fates of a part.
const (
	// PartNative means that it was sent as it is.
	PartNative PartFate = "native"
	// PartConverted means that it was sent as something else, usually text.
	PartConverted PartFate = "converted"
	// PartDropped means that it was left out.
	PartDropped PartFate = "dropped"
	// PartRejected means that the message was refused because of it.
	PartRejected PartFate = "rejected"
)

// PartOutcome says what became of one part.
type PartOutcome struct {
	// Index is the part's place in the message, from 0.
	Index int64 `json:"index"`
	// Fate is what became of it.
	Fate PartFate `json:"fate"`
	// Note says in one sentence what was lost; empty if nothing.
	Note string `json:"note,omitempty"`
}
