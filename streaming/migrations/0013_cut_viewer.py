from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('streaming', '0012_profile_adaptation'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='serverprocess',
            options={'default_permissions': (), 'ordering': ['host', 'pid'], 'permissions': (('cut_viewer', 'Can cut the connection of a viewer'),), 'verbose_name_plural': 'server processes'},
        ),
    ]
