package slb

// Errors about certificates. Where the reference tells a code without a text,
// the text is ours.
var (
	ErrCertificateOrKeyEmpty = &Error{400, "InvalidParameter", "The specified parameter ServerCertificate or Key is empty."}
	// ErrCertificateFormat: the text is no PEM of certificates.
	ErrCertificateFormat = &Error{400, "KeyFormatError", "The specified ServerCertificate is incorrectly formatted."}
	// ErrCertificateKind: the text can be read, but the certificate's key is of a
	// kind or length that listeners cannot serve.
	ErrCertificateKind       = &Error{400, "InvalidParameter", "The specified parameter ServerCertificate format is error."}
	ErrPrivateKeyFormat      = &Error{400, "InvalidParameter", "The specified parameter key format is error."}
	ErrPrivateKeyEncrypted   = &Error{400, "PrivateKeyEncryption", "Key has Encrypted ."}
	ErrPrivateKeyMismatch    = &Error{400, "CertificateNotMatchPrivateKey", "Certificate and key does not match."}
	ErrServerCertificate     = &Error{404, "ServerCertificateId.NotFound", "The specified ServerCertificateId does not exist."}
	ErrServerCertificateNone = &Error{400, "InvalidParameter", "The specified parameter ServerCertificateId is empty."}
	ErrCACertificate         = &Error{404, "CACertificateId.NotFound", "The specified CACertificateId does not exist."}
	// ErrServerCertificateUsed is the text of the action's page, ErrCACertificateUsed
	// that of the product's table.
	ErrServerCertificateUsed = &Error{400, "CertificateAndPrivateKeyIsRefered", "The specified certificate is bound to listeners. You cannot delete it."}
	ErrCACertificateUsed     = &Error{400, "CertificateAndPrivateKeyIsRefered", "Certificate and PrivateKey Is Refered."}
)

// Errors about additional domains.
var (
	ErrDomainExtension       = &Error{400, "InvalidParameter.DomainExtensionId", "The specified DomainExtensionId does not exist."}
	ErrDomainExtensionExists = &Error{400, "DomainAlreadyExists", "Protected DomainName already exists."}
)

// Errors about TLS policies. The reference documents none.
var (
	ErrTLSCipherPolicyUsed = &Error{400, "OperationDenied.TLSCipherPolicyInUse", "The specified TLSCipherPolicy is used by listeners. You cannot delete it."}
)
