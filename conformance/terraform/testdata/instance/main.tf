# An instance alone, with a snapshot, a copy of that, and a read replica. What waits for an
# instance waits for minutes, so it is not with the cluster.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

provider "aws" {}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

data "aws_rds_engine_version" "this" {
  engine       = "postgres"
  default_only = true
}

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "this" {
  for_each          = { "us-east-1a" = "10.0.1.0/24", "us-east-1b" = "10.0.2.0/24" }
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
}

resource "aws_db_subnet_group" "this" {
  name       = "stock"
  subnet_ids = [for s in aws_subnet.this : s.id]
}

resource "aws_db_instance" "this" {
  identifier                  = "stock"
  engine                      = "postgres"
  engine_version              = data.aws_rds_engine_version.this.version_actual
  instance_class              = "db.t4g.micro"
  allocated_storage           = 20
  db_name                     = "stock"
  username                    = "boss"
  manage_master_user_password = true
  db_subnet_group_name        = aws_db_subnet_group.this.name
  backup_retention_period     = var.changed ? 7 : 1
  apply_immediately           = true
  skip_final_snapshot         = true
  tags                        = { team = "shop", changed = var.changed }
}

# With a change it is promoted.
resource "aws_db_instance" "replica" {
  identifier          = "stock-copy"
  replicate_source_db = var.changed ? null : aws_db_instance.this.identifier
  instance_class      = "db.t4g.small"
  apply_immediately   = true
  skip_final_snapshot = true
}

resource "aws_db_snapshot" "this" {
  db_instance_identifier = aws_db_instance.this.identifier
  db_snapshot_identifier = "stock-before"
  shared_accounts        = var.changed ? ["210987654321"] : []
  tags                   = { team = "shop" }
}

resource "aws_db_snapshot_copy" "this" {
  source_db_snapshot_identifier = aws_db_snapshot.this.db_snapshot_arn
  target_db_snapshot_identifier = "stock-copy"
}

output "instance" {
  value = {
    snapshot   = aws_db_snapshot.this.status
    replicated = var.changed ? "" : aws_db_instance.replica.replicate_source_db
    secret     = aws_db_instance.this.master_user_secret[0].secret_status
  }
}
