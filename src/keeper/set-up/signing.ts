/**
 * Signs profiles: CMS SignedData with the content inside, in DER (RFC 5652 §5), which is what Apple's devices verify.
 *
 * In this process and not by the openssl program: the container image has none, and a profile holds a password that no other
 * process needs to see.
 */

import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto'
import {
  Attribute,
  CertificateChoices,
  CertificateSet,
  CMSVersion,
  ContentInfo,
  DigestAlgorithmIdentifiers,
  EncapsulatedContent,
  EncapsulatedContentInfo,
  IssuerAndSerialNumber,
  id_contentType,
  id_data,
  id_messageDigest,
  id_signedData,
  id_signingTime,
  SignedData,
  SignerIdentifier,
  SignerInfo,
  SignerInfos,
  SigningTime,
} from '@peculiar/asn1-cms'
import { AsnConvert, AsnObjectIdentifierConverter, OctetString } from '@peculiar/asn1-schema'
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509'
import type { Secret } from '../../secret.ts'

export interface Signer {
  /** The certificate that signs first, PEM, with those that lead to an authority. */
  readonly chain: string
  readonly privateKey: Secret
}

const SHA256 = '2.16.840.1.101.3.4.2.1'
const SIGNATURES = {
  rsa: '1.2.840.113549.1.1.1', // rsaEncryption, PKCS #1 v1.5 (RFC 3370 §3.2)
  ec: '1.2.840.10045.4.3.2', // ecdsa-with-SHA256 (RFC 5754 §3.3)
} as const
const NULL = Uint8Array.of(5, 0).buffer
/** A SET OF on its own, which is what is signed, where the message has the tag [0] (RFC 5652 §5.4). */
const SET_OF = 0x31

/** @throws TypeError for a key that is neither RSA nor EC; the configuration refuses those */
export function signProfile(content: string, { chain, privateKey }: Signer, now: Date): Buffer {
  const certificates = certificatesOf(chain)
  const [leaf] = certificates
  if (leaf === undefined) throw new TypeError('there is no certificate to sign with')
  const key = createPrivateKey(privateKey.reveal())
  const kind = key.asymmetricKeyType
  if (kind !== 'rsa' && kind !== 'ec') throw new TypeError(`profiles can't be signed with a key of type ${kind}`)
  const bytes = Buffer.from(content)
  const digestAlgorithm = new AlgorithmIdentifier({ algorithm: SHA256 })

  const signerInfo = new SignerInfo({
    version: CMSVersion.v1,
    sid: new SignerIdentifier({
      issuerAndSerialNumber: new IssuerAndSerialNumber({
        issuer: leaf.tbsCertificate.issuer,
        serialNumber: leaf.tbsCertificate.serialNumber,
      }),
    }),
    digestAlgorithm,
    // In the order of their encodings, as DER wants a SET OF: by length here.
    signedAttrs: [
      attribute(id_contentType, AsnObjectIdentifierConverter.toASN(id_data).toBER()),
      attribute(id_signingTime, AsnConvert.serialize(new SigningTime(now))),
      attribute(id_messageDigest, AsnConvert.serialize(new OctetString(createHash('sha256').update(bytes).digest()))),
    ],
    signatureAlgorithm: new AlgorithmIdentifier({
      algorithm: SIGNATURES[kind],
      ...(kind === 'rsa' && { parameters: NULL }),
    }),
  })
  signerInfo.signature = new OctetString(sign('sha256', signedBytes(signerInfo), key))

  const signedData = new SignedData({
    version: CMSVersion.v1,
    digestAlgorithms: new DigestAlgorithmIdentifiers([digestAlgorithm]),
    encapContentInfo: new EncapsulatedContentInfo({
      eContentType: id_data,
      eContent: new EncapsulatedContent({ single: new OctetString(bytes) }),
    }),
    certificates: new CertificateSet(certificates.map((certificate) => new CertificateChoices({ certificate }))),
    signerInfos: new SignerInfos([signerInfo]),
  })
  const message = new ContentInfo({ contentType: id_signedData, content: AsnConvert.serialize(signedData) })
  return Buffer.from(AsnConvert.serialize(message))
}

function certificatesOf(chain: string): readonly Certificate[] {
  const blocks = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => AsnConvert.parse(new X509Certificate(block).raw, Certificate))
}

function attribute(attrType: string, value: ArrayBuffer): Attribute {
  return new Attribute({ attrType, attrValues: [value] })
}

function signedBytes({ signedAttrs }: SignerInfo): Buffer {
  const body = Buffer.concat((signedAttrs ?? []).map((each) => Buffer.from(AsnConvert.serialize(each))))
  // Three attributes of known size; a length of 128 or more would have another form (X.690 §8.1.3).
  if (body.length > 127) throw new RangeError('signed attributes of an unforeseen size')
  return Buffer.concat([Buffer.of(SET_OF, body.length), body])
}
