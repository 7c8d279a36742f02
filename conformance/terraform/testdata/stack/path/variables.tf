terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "changed" {
  type    = bool
  default = false
}

locals {
  port  = 5432
  ports = var.changed ? ["5432", "6000-6010"] : ["5432"]
  zones = slice(data.aws_availability_zones.all.names, 0, 2)
}
