package api

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/openslb/openslb/internal/slb"
)

// parseKey reads an unencrypted private key in PEM: PKCS#1, SEC1 with or without
// its EC PARAMETERS before it, or PKCS#8. It returns the key, and as PKCS#8 the
// text that is to be kept.
func parseKey(text string) (key crypto.Signer, kept []byte, err error) {
	if len(text) > maxKeyBytes {
		return nil, nil, slb.ErrParameterLength.Because("PrivateKey has %d bytes of at most %d.", len(text), maxKeyBytes)
	}
	// Both ways of encrypting a PEM key say so in clear; a key that says so and is
	// broken besides is still one that was encrypted.
	if strings.Contains(text, "ENCRYPTED") {
		return nil, nil, slb.ErrPrivateKeyEncrypted
	}
	blocks, ok := pemBlocks(text)
	if ok && len(blocks) == 2 && blocks[0].Type == "EC PARAMETERS" && blocks[1].Type == "EC PRIVATE KEY" {
		blocks = blocks[1:]
	}
	if !ok || len(blocks) != 1 {
		return nil, nil, slb.ErrPrivateKeyFormat
	}
	parsed, err := parseKeyBlock(blocks[0])
	if err != nil {
		return nil, nil, slb.ErrPrivateKeyFormat
	}
	key, ok = parsed.(crypto.Signer)
	if !ok || !servable(key.Public()) {
		return nil, nil, slb.ErrPrivateKeyFormat
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, slb.ErrPrivateKeyFormat
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKeyBlock(b *pem.Block) (any, error) {
	switch b.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(b.Bytes)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	return nil, slb.ErrPrivateKeyFormat
}

// belongs reports whether the private key is the public key's counterpart.
func belongs(key crypto.Signer, public any) bool {
	k, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(public)
}
