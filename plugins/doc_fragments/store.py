# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option ``store`` of whatever makes a secret or reads one back."""

    DOCUMENTATION = r"""
options:
  store:
    description:
      - Where the client secret's value is kept.
      - The store is opened where Ansible itself runs, so the task must run locally.
    type: dict
    suboptions:
      backend:
        description:
          - The kind of store. What is kept is, for the current secret, C(tenant_id), C(client_id), C(key_id),
            C(display_name), C(start_date_time), C(end_date_time) and C(value), and the same for the one being retired
            under C(previous).
          - V(vault_file) is a YAML file of these keys, encrypted with Ansible Vault.
          - V(hashi_vault) is a secret of these keys in a KV version 2 mount of HashiCorp Vault or OpenBao. It needs the
            Python library C(hvac).
          - V(azure_key_vault) is a secret in Azure Key Vault whose value is a JSON object of these keys. Whoever signs
            in to it needs the role Key Vault Secrets Officer. That is the operator, unless the store has a sign-in of
            its own.
          - V(none) keeps nothing. The new value is returned sealed for the holder of a private key, see
            O(store.seal_to).
        type: str
        choices: [vault_file, hashi_vault, azure_key_vault, none]
        required: true
      path:
        description: The file of V(vault_file); the secret's path below O(store.mount) of V(hashi_vault).
        type: path
      vault_id:
        description:
          - For V(vault_file), which of the run's vault passwords encrypts the file. By default the one that Ansible is
            configured to encrypt with, else the first one.
        type: str
      password_file:
        description:
          - For V(vault_file), a file with the vault password, or an executable that prints it, instead of the run's
            own.
        type: path
      url:
        description:
          - For V(hashi_vault), the server. If not set, the environment variable E(VAULT_ADDR) is used.
          - It has to begin with C(https://), unless it is this very machine (loopback), and holds no user. Redirects
            are not followed.
        type: str
      mount:
        description: For V(hashi_vault), where the KV version 2 engine is mounted; C(secret) if not set.
        type: str
      namespace:
        description: For V(hashi_vault), the namespace. If not set, the environment variable E(VAULT_NAMESPACE) is used.
        type: str
      token:
        description:
          - For V(hashi_vault), the token. If not set, the environment variable E(VAULT_TOKEN) is used, or the file
            that E(VAULT_TOKEN_FILE) names, or the file C(~/.vault-token).
        type: str
      role_id:
        description:
          - For V(hashi_vault), sign in with this AppRole instead of a token. The tasks of one run sign in once, and the
            token ends with the run. If not set, the environment variable E(VAULT_ROLE_ID) is used.
        type: str
      secret_id:
        description:
          - For V(hashi_vault), the secret ID of O(store.role_id). If not set, the environment variable
            E(VAULT_SECRET_ID) is used, or the file that E(VAULT_SECRET_ID_FILE) names.
        type: str
      ca_path:
        description:
          - For V(hashi_vault), a PEM file with the certificate authorities to trust. If not set, the environment
            variable E(VAULT_CACERT) is used.
        type: path
      vault:
        description: For V(azure_key_vault), the vault's name.
        type: str
      name:
        description: For V(azure_key_vault), the secret's name.
        type: str
      tenant:
        description:
          - For V(azure_key_vault), the tenant that owns the vault, where that is not the one that the task is for. If
            not set, the operator's.
        type: str
      client_id:
        description:
          - For V(azure_key_vault), the application that signs in to the vault, with one of the credentials below. If
            none is set, the operator signs in.
        type: str
      client_secret:
        description: For V(azure_key_vault), the client secret of O(store.client_id).
        type: str
      certificate_path:
        description:
          - For V(azure_key_vault), a PEM or PKCS 12 file with the certificate and the key of O(store.client_id).
        type: path
      certificate_passphrase:
        description: For V(azure_key_vault), the passphrase of O(store.certificate_path).
        type: str
      federated_token_path:
        description:
          - For V(azure_key_vault), a file with a token of another identity provider that O(store.client_id) trusts.
        type: path
      managed_identity:
        description:
          - For V(azure_key_vault), V(system), or the client ID of a managed identity of the Azure machine that Ansible
            runs on.
        type: str
      cloud:
        description: For V(azure_key_vault), the cloud that the vault is in. If not set, the operator's.
        type: str
        choices: [global, gcc_high, dod, china]
      seal_to:
        description:
          - For V(none), an RSA public key in PEM, or the path of one. A new value is encrypted for it with RSA-OAEP
            (SHA-256) and returned in base64.
        type: str
"""
