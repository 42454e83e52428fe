# The service account of the exporter, with its roles. docs/service-account.md explains them and shows
# the commands.
#
# The state contains the secret: protect it, or create the secret in the console of Atlas.

terraform {
  required_version = ">= 1.3"
  required_providers {
    mongodbatlas = {
      source  = "mongodb/mongodbatlas"
      version = ">= 2.5" # the first version with these resources
    }
  }
}

variable "org_id" {
  type        = string
  description = "Id of the organization."
}

variable "project_ids" {
  type        = set(string)
  description = "Ids of the projects whose export jobs the exporter reads."
}

resource "mongodbatlas_service_account" "exporter" {
  org_id                     = var.org_id
  name                       = "atlas-backup-exporter"
  description                = "Prometheus exporter for backup exports"
  roles                      = ["ORG_MEMBER"]
  secret_expires_after_hours = 8760
}

resource "mongodbatlas_service_account_project_assignment" "exporter" {
  for_each   = var.project_ids
  project_id = each.value
  client_id  = mongodbatlas_service_account.exporter.client_id
  roles      = ["GROUP_BACKUP_MANAGER"]
}

output "client_id" {
  value = mongodbatlas_service_account.exporter.client_id
}

# Atlas returns the secret only when it is created, so read it before the next refresh.
output "client_secret" {
  value     = try(mongodbatlas_service_account.exporter.secrets[0].secret, null)
  sensitive = true
}

output "expires_at" {
  value = try(mongodbatlas_service_account.exporter.secrets[0].expires_at, null)
}
