# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Entra token service: discovery, keys, the client-credentials grant in all its forms, managed identity.

Tokens are real ones, signed with RS256; ``principal_of`` reads them back for the other services.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import typing as t
import urllib.parse
import uuid

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import directory, graph_lifetimes
from .hosts import CLOUDS, IMDS, audience_fits, clouds_of
from .model import Answer, Call, Document, Principal, Tenant, World

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGN_INS_KEPT = 1000
_LIFETIME_S = 3599
_LONG_LIFETIME_S = 86399  # for a client that says it understands continuous access evaluation


class SignInRefused(Exception):
    """An AADSTS refusal: its code and what its text is filled in with."""

    def __init__(self, code: str, **values: t.Any) -> None:
        super().__init__(code)
        self.code, self.values = code, values


class Entra:
    def __init__(self, world: World, signing_key: str | None = None) -> None:
        """``signing_key``: PKCS#8 PEM of an earlier run, so that its tokens stay valid."""
        self._world = world
        if signing_key is None:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            key = t.cast("rsa.RSAPrivateKey", serialization.load_pem_private_key(signing_key.encode(), password=None))
        self._key, self._public = key, key.public_key()
        numbers = self._public.public_numbers()
        self._kid = _b64(hashlib.sha256(str(numbers.n).encode()).digest()[:20])
        self._jwk = {
            "kty": "RSA",
            "use": "sig",
            "kid": self._kid,
            "x5t": self._kid,
            "n": _b64(numbers.n.to_bytes(256, "big")),
            "e": _b64(numbers.e.to_bytes(3, "big")),
            "cloud_instance_name": "microsoftonline.com",
        }
        self._verified: dict[str, tuple[Principal, float]] = {}

    def signing_key_pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    # --- reading tokens ----------------------------------------------------------------------------------------------

    def principal_of(self, call: Call) -> tuple[Principal | None, str | None]:
        """Who calls, or why that is not known (one of ``model.REFUSALS``)."""
        scheme, _unused, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None, "empty"
        principal, refusal = self.bearer(token.strip())
        if principal is not None and not audience_fits(principal.audience, call.host):
            return None, "audience"
        return principal, refusal

    def bearer(self, token: str) -> tuple[Principal | None, str | None]:
        """Whose token it is, whatever it was made for; or why that is not known."""
        if not token:
            return None, "empty"
        known = self._verified.get(token)
        if known is None:
            try:
                claims = jwt.decode(
                    token,
                    self._public,
                    algorithms=["RS256"],
                    options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
                )
            except jwt.InvalidTokenError:
                return None, "invalid"
            principal = Principal(
                tenant_id=claims["tid"],
                app_id=claims["appid"],
                object_id=claims["oid"],
                display_name=claims["app_displayname"],
                audience=claims["aud"],
                roles=frozenset(claims.get("roles", ())),
                wids=frozenset(claims.get("wids", ())),
            )
            known = self._verified[token] = principal, float(claims["exp"])
        principal, expires = known
        if self._world.clock.timestamp() >= expires:
            return None, "expired"
        return principal, None

    # --- the login hosts ---------------------------------------------------------------------------------------------

    def tenant_named(self, call: Call) -> Tenant | None:
        """The tenant of a login path, if it lives in the cloud of the login host that was asked."""
        tenant = self._world.tenant(call.plain_path.strip("/").partition("/")[0])
        if tenant is not None and tenant.cloud is not None and CLOUDS[tenant.cloud] not in clouds_of(call.host):
            return None
        return tenant

    def handle(self, call: Call) -> Answer:
        segments = [segment for segment in call.plain_path.split("/") if segment]
        name = segments[0] if segments else ""
        rest = "/".join(segments[1:]).lower()
        try:
            if rest in ("discovery/instance",):
                return self._instance_discovery(call)
            if rest in ("discovery/keys", "discovery/v2.0/keys"):
                return Answer(200, {"keys": [self._jwk]})
            if rest in ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"):
                return self._openid_configuration(call, name, v2=rest.startswith("v2.0"))
            if rest in ("oauth2/v2.0/token", "oauth2/token"):
                if call.method != "POST":
                    return Answer(405)
                return self._token(call, name, v2="v2.0" in rest)
        except SignInRefused as refusal:
            return self._refusal(call, refusal)
        return Answer(404)

    def _instance_discovery(self, call: Call) -> Answer:
        asked = urllib.parse.urlsplit(call.query.get("authorization_endpoint", ""))
        clouds = [cloud for cloud in CLOUDS.values() if asked.hostname in cloud.login]
        if not clouds:
            raise SignInRefused("50049")
        tenant = asked.path.strip("/").partition("/")[0] or "common"
        version = "v2.0/" if "/v2.0/" in asked.path else ""
        metadata = [
            {"preferred_network": hosts[0], "preferred_cache": hosts[1], "aliases": list(hosts)}
            for hosts in dict.fromkeys(cloud.login for cloud in CLOUDS.values())
        ]
        body = {
            "tenant_discovery_endpoint": f"https://{asked.hostname}/{tenant}/{version}.well-known/openid-configuration",
            "api-version": call.query.get("api-version", "1.1"),
            "metadata": metadata,
        }
        return Answer(200, body)

    def _openid_configuration(self, call: Call, name: str, *, v2: bool) -> Answer:
        if name.lower() in ("common", "organizations", "consumers"):
            own, issuer = name.lower(), "{tenantid}"
        else:
            own = issuer = self._tenant(call, name).id
        base = f"https://{call.host}/{own}"
        cloud = clouds_of(call.host)[0]
        version = "/v2.0" if v2 else ""
        body: Document = {
            "token_endpoint": f"{base}/oauth2{version}/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery{version}/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"https://{call.host}/{issuer}/v2.0" if v2 else f"https://sts.windows.net/{issuer}/",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"https://{cloud.graph[0]}/oidc/userinfo",
            "authorization_endpoint": f"{base}/oauth2{version}/authorize",
            "device_authorization_endpoint": f"{base}/oauth2{version}/devicecode",
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "end_session_endpoint": f"{base}/oauth2{version}/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "ver", "oid"],
            "kerberos_endpoint": f"{base}/kerberos",
            "tenant_region_scope": None if issuer == "{tenantid}" else "EU",
            "cloud_instance_name": "microsoftonline.com"
            if cloud.name == "global"
            else cloud.login[0].partition(".")[2],
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": cloud.graph[0],
            "rbac_url": "https://pas.windows.net",
        }
        return Answer(200, body, {"Cache-Control": "max-age=86400, private"})

    def _tenant(self, call: Call, name: str) -> Tenant:
        tenant = self.tenant_named(call)
        if tenant is not None:
            return tenant
        looks_right = "." in name or _is_guid(name)
        raise SignInRefused("90002" if looks_right else "900023", tenant=name)

    # --- tokens ------------------------------------------------------------------------------------------------------

    def _token(self, call: Call, name: str, *, v2: bool) -> Answer:
        tenant = self._tenant(call, name)
        form = dict(urllib.parse.parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        _basic(call.headers.get("authorization", ""), form)
        resource_name = form.get("resource", "") if not v2 else form.get("scope", "").removesuffix("/.default")
        client_id = form.get("client_id", "")
        try:
            token, lifetime, resource_name = self._issue(call, tenant, form, v2=v2)
        except SignInRefused as refusal:
            self._record(tenant, client_id, resource_name, int(refusal.code))
            raise
        self._record(tenant, client_id, resource_name, 0)
        body: Document = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime}
        if lifetime == _LONG_LIFETIME_S:
            body["refresh_in"] = lifetime // 2
        if not v2:
            now = int(self._world.clock.timestamp())
            body = {key: str(value) for key, value in body.items()}
            body |= {"expires_on": str(now + lifetime), "not_before": str(now - 300), "resource": resource_name}
        body["access_token"] = token
        return Answer(200, body, self._headers())

    def _issue(self, call: Call, tenant: Tenant, form: dict[str, str], *, v2: bool) -> tuple[str, int, str]:
        for parameter in ("grant_type", "client_id"):
            if not form.get(parameter):
                raise SignInRefused("900144", parameter=parameter)
        if form["grant_type"] != "client_credentials":
            raise SignInRefused("70003", grant_type=form["grant_type"])
        client_id = form["client_id"]
        app = directory.application_anywhere(self._world, tenant, client_id)
        principal = directory.service_principal_of(tenant, client_id)
        at_home = app is not None and app["id"] in tenant.applications
        if app is None or (principal is None and not at_home) or not self._world.reached(app.get("_visible_at")):
            raise SignInRefused("700016", app_id=client_id, tenant=tenant.display_name or tenant.id)
        method = self._authenticate(call, tenant, app, form)
        if principal is None or not self._world.reached(principal.get("_visible_at")):
            raise SignInRefused("7000229", app_id=client_id, tenant=tenant.id)
        if not principal["accountEnabled"]:
            raise SignInRefused("7000112", app_id=client_id, app_name=principal["displayName"])
        audience = self._audience(form, v2=v2)
        long_lived = "cp1" in form.get("claims", "")
        return self._mint(tenant, principal, audience, method, call.host, long_lived=long_lived)

    def _mint(
        self, tenant: Tenant, principal: Document, audience: str, method: str, host: str, *, long_lived: bool = False
    ) -> tuple[str, int, str]:
        resource = directory.resource_by_name(tenant, audience)
        if resource is None:
            raise SignInRefused("500011", resource=audience, tenant=tenant.display_name or tenant.id)
        roles = directory.roles_in_token(self._world, tenant, principal["id"], resource)
        if resource["appRoleAssignmentRequired"] and not roles:
            raise SignInRefused(
                "501051",
                app_id=principal["appId"],
                app_name=principal["displayName"],
                resource=resource["appId"],
                resource_name=resource["displayName"],
            )
        lifetime = _LONG_LIFETIME_S if long_lived else _LIFETIME_S
        if not long_lived and self._world.profile.name != "calm":
            lifetime = self._world.dice.randint(3600, 5400)
        lifetime = (None if long_lived else graph_lifetimes.lifetime_s(tenant, resource["appId"])) or lifetime
        now = int(self._world.clock.timestamp())
        claims: Document = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            "iat": now - 300,
            "nbf": now - 300,
            "exp": now + lifetime,
            "aio": base64.b64encode(uuid.uuid4().bytes).decode(),
            "app_displayname": principal["displayName"],
            "appid": principal["appId"],
            "appidacr": method,
            "idp": f"https://sts.windows.net/{tenant.id}/",
            "idtyp": "app",
            "oid": principal["id"],
            "rh": "0.A." + _b64(uuid.UUID(tenant.id).bytes),
            "sub": principal["id"],
            "tenant_region_scope": "EU",
            "tid": tenant.id,
            "uti": _b64(uuid.uuid4().bytes),
            "ver": "1.0",
            "wids": [*principal.get("_directory_roles", []), directory.EVERY_MEMBER_WID],
            "xms_tcdt": 1577836800,
        }
        if roles:
            claims["roles"] = roles
            self._world.tokens[:] = [kept for kept in self._world.tokens if kept["exp"] > now]
            self._world.tokens.append(
                {
                    "tenant": tenant.id,
                    "app_id": principal["appId"],
                    "display_name": principal["displayName"],
                    "resource": resource["appId"],
                    "roles": roles,
                    "exp": now + lifetime,
                }
            )
        headers = {"kid": self._kid, "x5t": self._kid}
        token = jwt.encode(claims, self._key, algorithm="RS256", headers=headers)
        missing = int((tenant.settings.get("switches") or {}).get("token_bytes", 0)) - len(token)
        if missing > 0:  # as long as where there are many roles, or in some of the national clouds
            claims["xms_rd"] = "A" * max(0, missing * 3 // 4 - len('"xms_rd":"",'))
            token = jwt.encode(claims, self._key, algorithm="RS256", headers=headers)
        return token, lifetime, audience

    def _audience(self, form: dict[str, str], *, v2: bool) -> str:
        if not v2:
            if not form.get("resource"):
                raise SignInRefused("900144", parameter="resource")
            return form["resource"]
        scopes = form.get("scope", "").split()
        if not scopes:
            raise SignInRefused("900144", parameter="scope")
        if len(scopes) > 1:
            raise SignInRefused("70011", scope=form["scope"])
        if not scopes[0].endswith("/.default"):
            raise SignInRefused("1002012", scope=scopes[0])
        return scopes[0].removesuffix("/.default")

    def _authenticate(self, call: Call, tenant: Tenant, app: Document, form: dict[str, str]) -> str:
        """``appidacr`` of the proof given: "1" a secret, "2" an assertion. Raises SignInRefused."""
        if form.get("client_assertion"):
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise SignInRefused("900144", parameter="client_assertion_type")
            self._check_assertion(call, tenant, app, form["client_assertion"])
            return "2"
        if not form.get("client_secret"):
            raise SignInRefused("7000218")
        self._check_secret(app, form["client_secret"])
        return "1"

    def _check_secret(self, app: Document, given: str) -> None:
        expired = False
        for password in app["passwordCredentials"]:
            if not hmac.compare_digest(password["_value"].encode(), given.encode()):
                continue
            now = self._world.clock.now()
            if directory.parse_stamp(password["endDateTime"]) <= now:
                expired = True
            elif directory.parse_stamp(password["startDateTime"]) <= now and self._world.reached(
                password["_usable_at"]
            ):
                return
        raise SignInRefused("7000222" if expired else "7000215", app_id=app["appId"])

    def _check_assertion(self, call: Call, tenant: Tenant, app: Document, assertion: str) -> None:
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise SignInRefused("50027") from None
        issuer = str(claims.get("iss", ""))
        if issuer.lower() == app["appId"].lower():
            self._check_certificate(call, tenant, app, assertion, header, claims)
        else:
            self._check_federated(app, assertion, header, claims)
        self._check_times(claims)

    def _check_times(self, claims: Document) -> None:
        # The client signs by its own clock, which is the real one even when the world's was advanced.
        nbf, exp = float(claims.get("nbf", 0)), float(claims.get("exp", 0))
        world, real = self._world.clock.timestamp(), self._world.clock.timestamp()
        real -= self._world.clock.offset.total_seconds()
        if not any(nbf - 300 <= now <= exp + 300 for now in (world, real)):
            moments = {"nbf": directory.stamp(nbf), "exp": directory.stamp(exp)}
            raise SignInRefused("700024", now=directory.stamp(world), **moments)

    def _check_certificate(
        self, call: Call, tenant: Tenant, app: Document, assertion: str, header: Document, claims: Document
    ) -> None:
        if str(claims.get("sub", "")).lower() != app["appId"].lower():
            raise SignInRefused("700021")
        thumbprint = str(header.get("x5t#S256") or header.get("x5t") or "").rstrip("=")
        algorithm = hashes.SHA256() if header.get("x5t#S256") else hashes.SHA1()

        def refuse(reason: str) -> SignInRefused:
            return SignInRefused("700027", reason=reason, thumbprint=_hex(thumbprint), app_id=app["appId"])

        audience = claims.get("aud")
        audience = str(audience[0] if isinstance(audience, list) and audience else audience).rstrip("/").lower()
        hosts = {host for cloud in clouds_of(call.host) for host in cloud.login}
        names = {tenant.id.lower(), *(domain.lower() for domain in tenant.domains)}
        accepted = {
            f"https://{host}/{name}{tail}"
            for host in hosts
            for name in names
            for tail in ("/oauth2/v2.0/token", "/oauth2/token", "/v2.0", "")
        }
        if audience not in accepted:
            raise SignInRefused("700023")
        for credential in app["keyCredentials"]:
            certificate = x509.load_der_x509_certificate(base64.b64decode(credential["key"]))
            if _b64(certificate.fingerprint(algorithm)) != thumbprint:
                continue
            try:
                jwt.decode(
                    assertion,
                    t.cast("rsa.RSAPublicKey", certificate.public_key()),
                    algorithms=["RS256", "PS256"],
                    options=_SIGNATURE_ONLY,
                )
            except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
                raise refuse("The key was found, but the signature does not fit.") from None
            if directory.parse_stamp(credential["endDateTime"]) <= self._world.clock.now():
                raise refuse("The key used is expired.")
            return
        raise refuse("The key was not found.")

    def _check_federated(self, app: Document, assertion: str, header: Document, claims: Document) -> None:
        issuer, subject = str(claims.get("iss", "")), str(claims.get("sub", ""))
        audiences = claims.get("aud", [])
        audiences = [audiences] if isinstance(audiences, str) else audiences
        records = [
            record
            for record in app["_federated"]
            if record["issuer"].rstrip("/") == issuer.rstrip("/") and self._world.reached(record.get("_usable_at"))
        ]
        if not records:
            raise SignInRefused("700211", issuer=issuer)
        records = [record for record in records if record["subject"] == subject]
        if not records:
            raise SignInRefused("700213", subject=subject)
        records = [record for record in records if set(audiences) & set(record["audiences"])]
        if not records:
            raise SignInRefused("700212", audience=", ".join(audiences))
        key = _issuer_key(records[0], header)
        if key is None:  # no key of the issuer is known here: its claims alone are believed
            return
        try:
            jwt.decode(assertion, key, algorithms=["RS256", "PS256", "ES256"], options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            reason = "The key was found, but the signature does not fit."
            raise SignInRefused("700027", reason=reason, thumbprint="", app_id=app["appId"]) from None

    def _record(self, tenant: Tenant, client_id: str, audience: str, code: int) -> None:
        items = tenant.settings.get("sign_ins", {}).get("items", [])
        items.append(
            {
                "appId": client_id,
                "audience": audience,
                "createdDateTime": directory.stamp(self._world.clock.now()),
                "errorCode": code,
            }
        )
        tenant.settings["sign_ins"] = {"items": items[-SIGN_INS_KEPT:]}

    def token_of(self, tenant: Tenant, client_id: str, audience: str) -> str | None:
        """A token as an application gets it by its certificate; None where it gets none."""
        principal = directory.service_principal_of(tenant, client_id)
        try:
            return self._mint(tenant, principal, audience, "2", "")[0] if principal is not None else None
        except SignInRefused:
            return None

    # --- managed identity --------------------------------------------------------------------------------------------

    def managed_identity(self, call: Call) -> Answer:
        """The instance metadata service (host 169.254.169.254) and the App Service endpoint (any other host)."""
        texts = self._world.texts["managed_identity"]

        def refuse(key: str, **values: str) -> Answer:
            entry = texts[key]
            return Answer(
                entry["status"], {"error": entry["error"], "error_description": entry["text"].format(**values)}
            )

        imds = call.host == IMDS
        if imds and call.headers.get("metadata", "").lower() != "true":
            return refuse("metadata_header")
        if not imds and not call.headers.get("x-identity-header"):
            return refuse("identity_header")
        query = call.query
        for tenant in self._world.tenants.values():
            for principal in tenant.service_principals.values():
                if not principal.get("_managed_identity"):
                    continue
                if str(query.get("client_id", principal["appId"])).lower() != principal["appId"].lower():
                    continue
                if str(query.get("object_id", principal["id"])).lower() != principal["id"].lower():
                    continue
                try:
                    token, lifetime, resource = self._mint(
                        tenant, principal, query.get("resource", ""), "2", call.host, long_lived=True
                    )
                except SignInRefused:
                    return refuse("resource", resource=query.get("resource", ""))
                self._record(tenant, principal["appId"], resource, 0)
                now = int(self._world.clock.timestamp())
                body = {
                    "access_token": token,
                    "client_id": principal["appId"],
                    "expires_in": str(lifetime),
                    "expires_on": str(now + lifetime),
                    "ext_expires_in": str(lifetime),
                    "not_before": str(now - 300),
                    "resource": resource,
                    "token_type": "Bearer",
                }
                return Answer(200, body)
        return refuse("not_found")

    # --- answers -----------------------------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return {
            "Cache-Control": "no-store, no-cache",
            "Pragma": "no-cache",
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-ests-server": "2.1.19999.4 - WEULR1 ProdSlices",
        }

    def _refusal(self, call: Call, refusal: SignInRefused) -> Answer:
        entry = self._world.texts["entra"][refusal.code]
        headers = self._headers()
        correlation = call.headers.get("client-request-id") or str(uuid.uuid4())
        moment = f"{self._world.clock.now():%Y-%m-%d %H:%M:%SZ}"
        trace = headers["x-ms-request-id"]
        text = entry["text"].format_map(_Blanks(refusal.values))
        body = {
            "error": entry["error"],
            "error_description": (
                f"AADSTS{refusal.code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}"
            ),
            "error_codes": [int(refusal.code)],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://{call.host}/error?code={refusal.code}",
        }
        return Answer(entry["status"], body, headers)


_SIGNATURE_ONLY: t.Final[t.Any] = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_iss": False,
}


class _Blanks(dict[str, t.Any]):
    def __missing__(self, key: str) -> str:
        return ""


def _basic(header: str, form: dict[str, str]) -> None:
    """Client id and secret of RFC 6749 section 2.3.1 into the form, where the body does not carry them."""
    scheme, _unused, value = header.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        user, colon, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    if colon:
        form.setdefault("client_id", urllib.parse.unquote_plus(user))
        form.setdefault("client_secret", urllib.parse.unquote_plus(password))


def _issuer_key(record: Document, header: Document) -> t.Any:
    """The issuer's public key as far as the tenants file gives one."""
    if record.get("_public_key"):
        return serialization.load_pem_public_key(record["_public_key"].encode())
    keys = (record.get("_jwks") or {}).get("keys", [])
    for jwk in keys:
        if len(keys) == 1 or jwk.get("kid") == header.get("kid"):
            return jwt.PyJWK.from_json(json.dumps(jwk)).key
    return None


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _hex(thumbprint: str) -> str:
    try:
        return base64.urlsafe_b64decode(thumbprint + "=" * (-len(thumbprint) % 4)).hex().upper()
    except (binascii.Error, ValueError):
        return ""


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
