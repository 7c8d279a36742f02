# What a team would write for AWS, twice: for the account and region of the
# environment, and for another account in another region. Only the second
# provider says where its API is.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

variable "endpoint" {
  description = "URL of the API, for the second provider."
  type        = string
}

variable "other" {
  description = "The second account and its key."
  type        = object({ account = string, id = string, secret = string })
}

provider "aws" {
  default_tags {
    tags = { owner = "platform", stage = var.changed ? "production" : "test" }
  }
}

provider "aws" {
  alias               = "other"
  region              = "eu-west-1"
  access_key          = var.other.id
  secret_key          = var.other.secret
  allowed_account_ids = [var.other.account]
  endpoints {
    ec2        = var.endpoint
    sts        = var.endpoint
    vpclattice = var.endpoint
  }
}

module "path" {
  source  = "./path"
  changed = var.changed
}

module "other" {
  source    = "./path"
  providers = { aws = aws.other }
}

output "endpoint" {
  description = "Where a client asks, and where it lives."
  value       = module.path.endpoint
}

output "other" {
  value = module.other.endpoint
}

output "seen" {
  description = "What data sources found."
  value       = module.path.seen
}

output "other_seen" {
  value = module.other.seen
}
