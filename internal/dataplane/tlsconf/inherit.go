package tlsconf

import "time"

// TicketKey is a key that seals sessions, for the process that takes over.
type TicketKey struct {
	Secret []byte // 36 bytes: the key, and the number that names it
	Made   time.Time
}

// TicketKeys are the keys in use, the current one first.
func (b *Builder) TicketKeys() []TicketKey {
	b.tickets.mu.Lock()
	defer b.tickets.mu.Unlock()
	var out []TicketKey
	for _, k := range []*ticketKey{b.tickets.current, b.tickets.previous} {
		if k != nil {
			out = append(out, TicketKey{k.secret[:], k.made})
		}
	}
	return out
}

// InheritTicketKeys makes keys of another process the ones in use, so that
// sessions which began there are resumed here. A key that is not one counts as
// missing.
func (b *Builder) InheritTicketKeys(keys []TicketKey) {
	var usable []*ticketKey
	for _, k := range keys {
		var secret ticketSecret
		if copy(secret[:], k.Secret) != len(secret) {
			continue
		}
		if key, err := secret.key(k.Made); err == nil {
			usable = append(usable, key)
		}
	}
	b.tickets.mu.Lock()
	defer b.tickets.mu.Unlock()
	if len(usable) > 0 {
		b.tickets.current = usable[0]
	}
	if len(usable) > 1 {
		b.tickets.previous = usable[1]
	}
}
